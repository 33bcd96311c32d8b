// Which credential the playground asks as. Keys are kept in memory only: the server has none to give.
import { api, ok, type Credential } from '$lib/api/client';
import { isDoorOpen } from '$lib/open-door';
import { session } from '$lib/session.svelte';
import { remember } from './temporary';

const HOUR_MS = 3_600_000;
const LONGEST_NAME = 255;

/** Cut to whole characters. */
const cut = (text: string) => [...text].slice(0, LONGEST_NAME).join('');

class Keys {
	/** The credential asked as, and its key when it is known. */
	chosen = $state.raw<Credential | undefined>();
	key = $state('');
	/** Whether clients without a key are let in, so that none is needed here. */
	isOpen = $state(false);
	#known = new Map<number, string>();

	get canAsk() {
		return this.key !== '' || this.isOpen;
	}

	choose(credential: Credential | undefined) {
		this.chosen = credential;
		this.key = (credential && this.#known.get(credential.id)) ?? '';
	}

	/** Takes a key that a person has. */
	take(key: string) {
		this.key = key;
		if (this.chosen) this.#known.set(this.chosen.id, key);
	}

	drop() {
		if (this.chosen) this.#known.delete(this.chosen.id);
		this.key = '';
	}

	clear() {
		this.#known.clear();
		this.chosen = undefined;
		this.key = '';
		this.isOpen = false;
	}

	async look(): Promise<void> {
		this.isOpen = await isDoorOpen();
	}

	/** Creates a credential for an hour, with the rights of the chosen one. */
	async makeTemporary() {
		const like = this.chosen;
		const made = await ok(
			api.POST('/admin/v1/credentials', {
				body: {
					name: like ? cut(`playground as ${like.name}`) : 'playground',
					allowed_models: like?.allowed_models ?? [],
					rate_limit: like?.rate_limit ?? null,
					burst: like?.burst ?? null,
					is_enabled: true,
					expires_at: new Date(Date.now() + HOUR_MS).toISOString()
				}
			})
		);
		const { key, ...rest } = made;
		const credential = rest as Credential;
		remember(credential);
		this.chosen = credential;
		this.take(key ?? '');
		setTimeout(() => this.#expire(credential.id), HOUR_MS);
	}

	#expire(id: number) {
		this.#known.delete(id);
		if (this.chosen?.id === id) this.choose(undefined);
	}
}

export const keys = new Keys();
session.whenLeaving(() => keys.clear());
