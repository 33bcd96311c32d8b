// Which credential the playground asks as. Keys are kept in memory only: the server has none to give.
import { api, ok, type Credential } from '$lib/api/client';

const HOUR_MS = 3_600_000;

class Keys {
	/** The credential asked as, and its key when it is known. */
	chosen = $state.raw<Credential | undefined>();
	key = $state('');
	#known = new Map<number, string>();

	choose(credential: Credential | undefined) {
		this.chosen = credential;
		this.key = (credential && this.#known.get(credential.id)) ?? '';
	}

	/** Takes a key that a person has. */
	take(key: string) {
		this.key = key;
		if (this.chosen) this.#known.set(this.chosen.id, key);
	}

	/** Makes a credential for an hour, with the rights of the chosen one. */
	async makeTemporary() {
		const like = this.chosen;
		const made = await ok(
			api.POST('/admin/v1/credentials', {
				body: {
					name: like ? `playground as ${like.name}`.slice(0, 255) : 'playground',
					allowed_models: like?.allowed_models ?? [],
					rate_limit: like?.rate_limit ?? null,
					burst: like?.burst ?? null,
					is_enabled: true,
					expires_at: new Date(Date.now() + HOUR_MS).toISOString()
				}
			})
		);
		const { key, ...credential } = made;
		this.chosen = credential as Credential;
		this.take(key ?? '');
	}
}

export const keys = new Keys();
