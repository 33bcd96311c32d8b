// Active checks of providers, a request a model so that results come one by one, and what was found.
import { api, ok, type Provider } from './api/client';
import { tell } from './api/error';
import { probedModels, type Mapping } from './mapping';
import { pooled } from './pooled';

export type Found = 'running' | 'healthy' | 'unhealthy' | 'disabled' | 'unknown' | 'skipped';
export interface ModelResult {
	model: string;
	status: Found;
	ms?: number | undefined;
	error?: string | undefined;
}
export interface Run {
	id: number;
	name: string;
	at: number;
	status: Found;
	models: ModelResult[];
}

const NAME = 'llm-proxy.checks';
const KEPT = 100;
const AT_ONCE = 3;

function stored(): Run[] {
	try {
		const found: unknown = JSON.parse(localStorage.getItem(NAME) ?? '[]');
		return Array.isArray(found) ? (found as Run[]).filter((run) => Array.isArray(run?.models)) : [];
	} catch {
		return [];
	}
}

class Checks {
	/** The last run of each provider in this browser. */
	runs = $state<Record<number, Run>>({});
	history = $state.raw<Run[]>(stored());
	#round = 0;

	of(id: number): Run | undefined {
		return this.runs[id] ?? this.history.find((run) => run.id === id);
	}

	isRunning(id: number): boolean {
		return this.runs[id]?.status === 'running';
	}

	async check(provider: Provider): Promise<void> {
		const { id, provider_key: name } = provider;
		if (this.isRunning(id)) return;
		const names = provider.is_enabled ? probedModels(provider.model_mapping as Mapping) : [];
		const models = names.map((model): ModelResult => ({ model, status: 'running' }));
		this.runs[id] = { id, name, at: Date.now(), status: 'running', models };
		const run = this.runs[id];
		const round = this.#round;
		await pooled(run.models, AT_ONCE, async (model) => {
			if (round === this.#round) await this.#ask(id, model);
			else model.status = 'skipped';
		});
		if (!provider.is_enabled) run.status = 'disabled';
		else if (names.length === 0) run.status = 'unknown';
		else run.status = run.models.some((model) => model.status === 'healthy') ? 'healthy' : 'unhealthy';
		this.#keep($state.snapshot(run));
	}

	async #ask(id: number, result: ModelResult): Promise<void> {
		try {
			const body = { models: [result.model] };
			const found = (await ok(api.POST('/admin/v1/providers/{id}/health', { params: { path: { id } }, body }))).models[0];
			result.status = found?.status ?? 'unknown';
			result.ms = found?.response_time_ms ?? undefined;
			result.error = found?.error ?? undefined;
		} catch (error) {
			result.status = 'unknown';
			result.error = tell(error);
		}
	}

	#keep(run: Run) {
		this.history = [run, ...this.history].slice(0, KEPT);
		this.#store();
	}

	/** Lets no model be asked any more; those under way are waited for. */
	stop() {
		this.#round++;
	}

	forget() {
		this.history = [];
		this.runs = {};
		this.#store();
	}

	#store() {
		try {
			localStorage.setItem(NAME, JSON.stringify(this.history));
		} catch {
			// It lasts as long as the page.
		}
	}
}

export const checks = new Checks();
