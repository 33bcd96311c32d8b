export type ThemeChoice = 'system' | 'light' | 'dark';
const NAME = 'llm-proxy.theme';

function stored(): ThemeChoice {
	try {
		const value = localStorage.getItem(NAME);
		return value === 'light' || value === 'dark' ? value : 'system';
	} catch {
		return 'system';
	}
}

class Theme {
	choice = $state<ThemeChoice>(stored());
	#systemIsDark = $state(matchMedia('(prefers-color-scheme: dark)').matches);
	isDark = $derived(this.choice === 'dark' || (this.choice === 'system' && this.#systemIsDark));

	constructor() {
		matchMedia('(prefers-color-scheme: dark)').addEventListener('change', (event) => {
			this.#systemIsDark = event.matches;
			this.#show();
		});
	}

	choose(choice: ThemeChoice) {
		this.choice = choice;
		try {
			localStorage.setItem(NAME, choice);
		} catch {
			// It lasts as long as the page.
		}
		this.#show();
	}

	#show() {
		document.documentElement.classList.toggle('dark', this.isDark);
	}
}

export const theme = new Theme();
