// What a page shows of the server: the last answer, how old it is, whether a new one is on its way, what failed.
import { untrack } from 'svelte';
import { ApiError, isAbort } from './api/error';

/** How long an answer is waited for: one that never comes must not keep what is old on the page. */
const PATIENCE_MS = 30_000;
/** Where an answer takes long it is asked for less often: the server has other work, too. */
const REST = 10;

export class Resource<T> {
	data = $state.raw<T | undefined>(undefined);
	error = $state.raw<unknown>(undefined);
	isLoading = $state(true);
	/** Whether something else was asked for than what is shown. */
	isOther = $state(false);
	/** When `data` was asked for, in milliseconds since 1970. */
	at = $state(0);
	/** How long the last answer took. */
	took = 0;
	#abort: AbortController | undefined;

	constructor(readonly read: (signal: AbortSignal) => Promise<T>) {}

	/** Reads again; what is shown stays until the answer is there. A later call overtakes this one. */
	load = async (): Promise<void> => {
		this.#abort?.abort();
		const abort = (this.#abort = new AbortController());
		const begun = Date.now();
		let isLate = false;
		const timer = setTimeout(() => {
			isLate = true;
			abort.abort();
		}, PATIENCE_MS);
		this.isLoading = true;
		try {
			const data = await this.read(abort.signal);
			if (abort.signal.aborted) return;
			this.data = data;
			this.error = undefined;
			this.at = begun;
			this.took = Date.now() - begun;
		} catch (error) {
			if (this.#abort !== abort || (!isLate && (abort.signal.aborted || isAbort(error)))) return;
			this.error = isLate ? new ApiError(0, `The server did not answer within ${PATIENCE_MS / 1000} seconds.`) : error;
		} finally {
			clearTimeout(timer);
		}
		this.isOther = false;
		this.isLoading = false;
	};

	stop() {
		this.#abort?.abort();
	}
}

/** Reads `of` again and again, and at once when the page is looked at again. */
function poll(of: Resource<unknown>, everyMs: number): () => void {
	let timer: ReturnType<typeof setTimeout> | undefined;
	let isOver = false;
	const isSeen = () => document.visibilityState === 'visible';
	const wait = () => {
		clearTimeout(timer);
		if (!isOver) timer = setTimeout(look, Math.max(everyMs, of.took * REST));
	};
	const look = async () => {
		if (isSeen() && !of.isLoading) await of.load();
		wait();
	};
	const seen = () => {
		if (isSeen() && Date.now() - of.at >= everyMs) void look();
	};
	document.addEventListener('visibilitychange', seen);
	wait();
	return () => {
		isOver = true;
		clearTimeout(timer);
		document.removeEventListener('visibilitychange', seen);
	};
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
		untrack(() => (made.isOther = made.data !== undefined));
		void made.load();
		return () => made.stop();
	});
	$effect(() => {
		const every = options.everyMs?.() ?? 0;
		return every > 0 ? untrack(() => poll(made, every)) : undefined;
	});
	return made;
}

/** Runs the last of several calls, when none came for a while and the component is still there. */
export function debounced<A extends unknown[]>(run: (...args: A) => void, ms: number): (...args: A) => void {
	let timer: ReturnType<typeof setTimeout> | undefined;
	$effect(() => () => clearTimeout(timer));
	return (...args) => {
		clearTimeout(timer);
		timer = setTimeout(() => run(...args), ms);
	};
}
