// A provider as it is being written.
import type { Provider, Schemas } from './api/client';
import { problemsOf, toMapping, toRows, type Mapping, type Row } from './mapping';

export const TYPES: Record<string, { label: string; base: string }> = {
	openai: { label: 'OpenAI', base: 'https://api.openai.com/v1' },
	anthropic: { label: 'Anthropic', base: 'https://api.anthropic.com' },
	response_api: { label: 'OpenAI Responses', base: 'https://api.openai.com/v1' },
	azure: { label: 'Azure OpenAI', base: 'https://example.openai.azure.com' },
	custom: { label: 'OpenAI compatible', base: 'http://127.0.0.1:8000/v1' }
};

const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);

/** What of `provider` a form can change. */
function editable(provider: Provider) {
	const { api_base, provider_type, model_mapping, weight, is_enabled, provider_params } = provider;
	return { api_base, provider_type, model_mapping, weight, is_enabled, provider_params };
}

/** Names of the fields in which two states of a row differ. */
export function differing(before: Provider, after: Provider): string[] {
	const [old, now] = [editable(before), editable(after)] as Record<string, unknown>[];
	const names = Object.keys(now!).filter((name) => !same(old![name], now![name]));
	return before.api_key_state === after.api_key_state ? names : [...names, 'api_key'];
}

export class ProviderDraft {
	provider_key = $state('');
	provider_type = $state('openai');
	api_base = $state('');
	/** Empty: the stored one stays. */
	api_key = $state('');
	rows = $state<Row[]>([]);
	weight = $state<number | null>(1);
	is_enabled = $state(true);
	params = $state('{}');
	original = $state.raw<Provider | undefined>();

	constructor(from?: Provider) {
		if (from) this.take(from);
	}

	/** Shows a stored row instead of what was written. */
	take(from: Provider) {
		this.original = from;
		this.provider_key = from.provider_key;
		this.provider_type = from.provider_type;
		this.api_base = from.api_base;
		this.api_key = '';
		this.rows = toRows(from.model_mapping as Mapping);
		this.weight = from.weight;
		this.is_enabled = from.is_enabled;
		this.params = JSON.stringify(from.provider_params, null, 2);
	}

	/**
	 * Takes a newer row as the base: what was changed here stays, the rest is as it is there.
	 * What was `sent` and is stored now is no change any more, unless it was changed again meanwhile.
	 */
	rebase(to: Provider, sent: object = {}) {
		const done = sent as Record<string, unknown>;
		const mine = Object.entries(this.changes()).filter(([name, value]) => !(name in done && same(done[name], value)));
		const { rows, params } = this;
		this.take(to);
		for (const [name, value] of mine) {
			if (name === 'model_mapping') this.rows = rows;
			else if (name === 'provider_params') this.params = params;
			else Object.assign(this, { [name]: value });
		}
	}

	paramsProblem = $derived.by(() => {
		try {
			const value: unknown = JSON.parse(this.params || '{}');
			return value && typeof value === 'object' && !Array.isArray(value) ? '' : 'This must be a JSON object.';
		} catch (error) {
			return `This is no valid JSON: ${(error as Error).message}`;
		}
	});

	/** What is wrong with rows of the mapping, by their ids. */
	problems = $derived(problemsOf(this.rows));

	isSound = $derived(
		!this.paramsProblem &&
			this.provider_key.trim() !== '' &&
			this.api_base.trim() !== '' &&
			Number.isInteger(this.weight) &&
			this.problems.size === 0
	);

	#values() {
		return {
			api_base: this.api_base.trim(),
			provider_type: this.provider_type,
			model_mapping: toMapping(this.rows),
			weight: this.weight ?? 0,
			is_enabled: this.is_enabled,
			provider_params: JSON.parse(this.params || '{}') as Record<string, unknown>
		};
	}

	/** A new row. */
	whole(): Schemas['NewProvider'] {
		return { provider_key: this.provider_key.trim(), api_key: this.api_key, ...this.#values() } as Schemas['NewProvider'];
	}

	/** Only what was changed, so that the rest stays as somebody else may have made it. */
	changes(): Schemas['ProviderChange'] {
		if (!this.original || this.paramsProblem) return {};
		const old: Record<string, unknown> = editable(this.original);
		const changed = Object.entries(this.#values()).filter(([name, value]) => !same(old[name], value));
		const key = this.api_key === '' ? [] : [['api_key', this.api_key]];
		return Object.fromEntries([...changed, ...key]) as Schemas['ProviderChange'];
	}

	isDirty = $derived(this.paramsProblem !== '' || Object.keys(this.changes()).length > 0);
}
