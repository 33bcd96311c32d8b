// What the server sees of its providers, read again every few seconds while a page shows it.
import { api, ok, type ProviderHealth } from './api/client';
import { resource } from './resource.svelte';

const EVERY_MS = 3000;
/** The report is on all providers: where there are many, it is asked for less often. */
const MANY = 500;
const MANY_EVERY_MS = 15_000;

export function liveHealth() {
	let isLarge = $state(false);
	async function read(signal: AbortSignal) {
		const told = await ok(api.GET('/health/detailed', { signal }));
		isLarge = told.providers.length > MANY;
		return told;
	}
	const health = resource(read, { everyMs: () => (isLarge ? MANY_EVERY_MS : EVERY_MS) });
	const byId = $derived(new Map<number, ProviderHealth>(health.data?.providers.map((one) => [one.id, one])));
	const enabled = $derived(health.data?.providers.filter((one) => one.is_enabled) ?? []);
	return {
		health,
		get everyMs() {
			return isLarge ? MANY_EVERY_MS : EVERY_MS;
		},
		of: (id: number) => byId.get(id),
		/** The weights of all that are enabled, as they are and as they count now. */
		get weights() {
			return enabled.reduce((sum, one) => sum + one.weight, 0);
		},
		get effective() {
			return enabled.reduce((sum, one) => sum + one.effective_weight, 0);
		}
	};
}
export type LiveHealth = ReturnType<typeof liveHealth>;
