// What a page shows of the server: the last answer, whether a new one is on its way, what failed.
import { isAbort } from './api/error';

export class Resource<T> {
	data = $state.raw<T | undefined>(undefined);
	error = $state.raw<unknown>(undefined);
	isLoading = $state(true);
	#abort: AbortController | undefined;

	constructor(readonly read: (signal: AbortSignal) => Promise<T>) {}

	/** Reads again; what is shown stays until the answer is there. A later call overtakes this one. */
	load = async (): Promise<void> => {
		this.#abort?.abort();
		const abort = (this.#abort = new AbortController());
		this.isLoading = true;
		try {
			const data = await this.read(abort.signal);
			if (abort.signal.aborted) return;
			this.data = data;
			this.error = undefined;
		} catch (error) {
			if (abort.signal.aborted || isAbort(error)) return;
			this.error = error;
		}
		this.isLoading = false;
	};

	stop() {
		this.#abort?.abort();
	}
}

/**
 * A resource that reads when the component appears and whenever `inputs` change.
 * With `everyMs` it also reads again and again while the page is looked at.
 */
export function resource<T>(
	read: (signal: AbortSignal) => Promise<T>,
	options: { inputs?: () => unknown; everyMs?: () => number } = {}
): Resource<T> {
	const made = new Resource(read);
	$effect(() => {
		options.inputs?.();
		void made.load();
		return () => made.stop();
	});
	$effect(() => {
		const every = options.everyMs?.() ?? 0;
		if (every <= 0) return;
		const timer = setInterval(() => {
			if (document.visibilityState === 'visible' && !made.isLoading) void made.load();
		}, every);
		return () => clearInterval(timer);
	});
	return made;
}

/** Runs the last of several calls, when none came for a while. */
export function debounced<A extends unknown[]>(run: (...args: A) => void, ms: number): (...args: A) => void {
	let timer: ReturnType<typeof setTimeout> | undefined;
	return (...args) => {
		clearTimeout(timer);
		timer = setTimeout(() => run(...args), ms);
	};
}
