// Who is signed in. The admin key lives in the tab's storage, in the browser's only when asked to.
const KEY = 'llm-proxy.admin-key';
const ACTOR = 'llm-proxy.actor';

function stored(name: string, kept: () => Storage): string {
	try {
		return kept().getItem(name) ?? '';
	} catch {
		return '';
	}
}

const ofTab = () => sessionStorage;
const ofBrowser = () => localStorage;

class Session {
	key = $state(stored(KEY, ofTab) || stored(KEY, ofBrowser));
	/** The name that the history shows for this person's changes. */
	actor = $state(stored(ACTOR, ofTab) || stored(ACTOR, ofBrowser));
	/** Why the last session ended, for the sign-in page. */
	ended = $state('');
	#isRemembered = this.key !== '' && stored(KEY, ofTab) === '';
	#leaving = new Set<() => void>();

	constructor() {
		// Who signs out in one tab means all that use the remembered key.
		addEventListener('storage', ({ key, newValue }) => {
			const isForgotten = key === null || (key === KEY && newValue === null);
			if (isForgotten && this.#isRemembered && this.isSignedIn) this.signOut('You signed out in another tab.');
		});
	}

	get isSignedIn() {
		return this.key !== '';
	}

	signIn(key: string, actor: string, remember: boolean) {
		this.key = key;
		this.actor = actor;
		this.ended = '';
		this.#isRemembered = remember;
		try {
			const kept = remember ? localStorage : sessionStorage;
			kept.setItem(KEY, key);
			kept.setItem(ACTOR, actor);
		} catch {
			// Without storage the session lasts as long as the page.
		}
	}

	/** Calls `act` when a session ends, while its key is still there. */
	whenLeaving(act: () => void) {
		this.#leaving.add(act);
	}

	signOut(why = '') {
		if (this.isSignedIn) for (const act of this.#leaving) act();
		this.key = '';
		this.actor = '';
		this.ended = why;
		for (const kept of [ofTab, ofBrowser]) {
			try {
				kept().removeItem(KEY);
				kept().removeItem(ACTOR);
			} catch {
				// There was nothing to forget.
			}
		}
	}

	/** What ends the session when a call with `key` is refused; an answer to an earlier key says nothing of this one. */
	refused(key: string) {
		if (key === this.key && this.isSignedIn) this.signOut('The admin key is not accepted any more. Sign in again.');
	}
}

export const session = new Session();
