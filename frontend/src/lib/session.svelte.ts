// Who is signed in. The admin key lives in the tab's storage, in the browser's only when asked to.
const KEY = 'llm-proxy.admin-key';
const ACTOR = 'llm-proxy.actor';

function stored(name: string): string {
	try {
		return sessionStorage.getItem(name) ?? localStorage.getItem(name) ?? '';
	} catch {
		return '';
	}
}

class Session {
	key = $state(stored(KEY));
	/** The name that the history shows for this person's changes. */
	actor = $state(stored(ACTOR));
	/** Why the last session ended, for the sign-in page. */
	ended = $state('');

	get isSignedIn() {
		return this.key !== '';
	}

	signIn(key: string, actor: string, remember: boolean) {
		this.key = key;
		this.actor = actor;
		this.ended = '';
		try {
			const kept = remember ? localStorage : sessionStorage;
			kept.setItem(KEY, key);
			kept.setItem(ACTOR, actor);
		} catch {
			// Without storage the session lasts as long as the page.
		}
	}

	signOut(why = '') {
		this.key = '';
		this.ended = why;
		for (const kept of [() => sessionStorage, () => localStorage]) {
			try {
				kept().removeItem(KEY);
				kept().removeItem(ACTOR);
			} catch {
				// There was nothing to forget.
			}
		}
	}
}

export const session = new Session();
