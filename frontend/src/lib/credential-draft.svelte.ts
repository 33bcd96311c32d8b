// A credential as it is being written.
import type { Credential, Schemas } from './api/client';
import { fromLocalInput, toLocalInput } from './format';

const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);

function editable({ name, allowed_models, rate_limit, burst, is_enabled, expires_at }: Credential) {
	return { name, allowed_models, rate_limit, burst, is_enabled, expires_at };
}

/** Names of the fields in which two states of a row differ. */
export function differing(before: Credential, after: Credential): string[] {
	const [old, now] = [editable(before), editable(after)] as Record<string, unknown>[];
	const names = Object.keys(now!).filter((name) => !same(old![name], now![name]));
	return before.key_preview === after.key_preview ? names : [...names, 'key'];
}

export class CredentialDraft {
	name = $state('');
	/** One entry a line. */
	models = $state('');
	rate_limit = $state<number | null>(null);
	burst = $state<number | null>(null);
	is_enabled = $state(true);
	expires = $state('');
	/** Of a new credential only; empty: the server makes one. */
	key = $state('');
	original = $state.raw<Credential | undefined>();

	constructor(from?: Credential) {
		if (from) this.take(from);
	}

	take(from: Credential) {
		this.original = from;
		this.name = from.name;
		this.models = from.allowed_models.join('\n');
		this.rate_limit = from.rate_limit;
		this.burst = from.burst;
		this.is_enabled = from.is_enabled;
		this.expires = toLocalInput(from.expires_at);
	}

	/**
	 * Takes a newer row as the base: what was changed here stays, the rest is as it is there.
	 * What was `sent` and is stored now is no change any more, unless it was changed again meanwhile.
	 */
	rebase(to: Credential, sent: object = {}) {
		const done = sent as Record<string, unknown>;
		const mine = Object.entries(this.changes()).filter(([name, value]) => !(name in done && same(done[name], value)));
		this.take({ ...to, ...(Object.fromEntries(mine) as Partial<Credential>) });
		this.original = to;
	}

	#values() {
		const lines = this.models.split('\n').map((line) => line.trim());
		const kept = this.original && toLocalInput(this.original.expires_at) === this.expires;
		return {
			name: this.name.trim(),
			allowed_models: lines.filter(Boolean),
			rate_limit: this.rate_limit ?? null,
			burst: this.burst ?? null,
			is_enabled: this.is_enabled,
			// The field has minutes only: what was not touched keeps its seconds.
			expires_at: kept ? this.original!.expires_at : fromLocalInput(this.expires)
		};
	}

	whole(): Schemas['NewCredential'] {
		return { ...this.#values(), ...(this.key ? { key: this.key } : {}) };
	}

	changes(): Schemas['CredentialChange'] {
		if (!this.original) return {};
		const old: Record<string, unknown> = editable(this.original);
		return Object.fromEntries(Object.entries(this.#values()).filter(([name, value]) => !same(old[name], value)));
	}

	isSound = $derived(this.name.trim() !== '');
	isDirty = $derived(Object.keys(this.changes()).length > 0);
}
