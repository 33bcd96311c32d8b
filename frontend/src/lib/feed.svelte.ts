// The feed of configuration changes: one websocket for the whole page.
import { base } from '$app/paths';
import type { Change, Schemas } from './api/client';
import { isAdminKey } from './api/validate';
import { session } from './session.svelte';

type Replica = Schemas['Replica'] & { state?: 'up' | 'gone' };
type Message =
	| { type: 'hello'; version: number; replica_id: string; replicas: Replica[] }
	| ({ type: 'change' } & Change)
	| ({ type: 'replica' } & Replica)
	| { type: 'ping' };

const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 5_000;
/** The server says something every 15 seconds: a connection that is silent for so long is none. */
const SILENCE_MS = 40_000;
const OPENING_MS = 10_000;
const UNAUTHORIZED = 4401;
const AHEAD = 4409;

class Feed {
	status = $state<'off' | 'connecting' | 'live' | 'lost'>('off');
	/** The version in force on the replica that this page talks to. */
	version = $state<number | undefined>();
	replicaId = $state('');
	replicas = $state<Replica[]>([]);
	#socket: WebSocket | undefined;
	#since: number | undefined;
	#delay = FIRST_DELAY_MS;
	#timer: ReturnType<typeof setTimeout> | undefined;
	#silence: ReturnType<typeof setTimeout> | undefined;
	#listeners = new Set<(change: Change | undefined) => void>();
	#known = new Set<string>();

	start() {
		if (this.status !== 'off') return;
		addEventListener('online', this.#now);
		document.addEventListener('visibilitychange', this.#now);
		this.#connect();
	}

	stop() {
		removeEventListener('online', this.#now);
		document.removeEventListener('visibilitychange', this.#now);
		clearTimeout(this.#timer);
		clearTimeout(this.#silence);
		this.status = 'off';
		this.#since = undefined;
		this.#known.clear();
		this.#socket?.close(1000);
		this.#socket = undefined;
	}

	/** Calls `listener` with each change; with nothing when some may have been missed. */
	onChange(listener: (change: Change | undefined) => void): () => void {
		this.#listeners.add(listener);
		return () => this.#listeners.delete(listener);
	}

	#tell(change: Change | undefined) {
		for (const listener of this.#listeners) listener(change);
	}

	#connect() {
		clearTimeout(this.#timer);
		this.status = this.status === 'lost' ? 'lost' : 'connecting';
		const since = this.#since === undefined ? '' : `?since=${this.#since}`;
		this.#socket?.close();
		const socket = new WebSocket(`${location.origin.replace(/^http/, 'ws')}${base}/v1/config/feed${since}`);
		this.#socket = socket;
		const { key } = session;
		socket.onopen = () => socket.send(JSON.stringify({ type: 'auth', key }));
		socket.onmessage = (event) => {
			if (this.#socket !== socket) return;
			this.#listen(socket, SILENCE_MS);
			this.#hear(JSON.parse(String(event.data)) as Message);
		};
		socket.onclose = (event) => {
			if (this.#socket === socket) this.#lost(event.code, key);
		};
		this.#listen(socket, OPENING_MS);
	}

	/** Gives a connection up that says nothing: the browser may not notice for many minutes. */
	#listen(socket: WebSocket, ms: number) {
		clearTimeout(this.#silence);
		this.#silence = setTimeout(() => {
			if (this.#socket !== socket) return;
			this.#socket = undefined;
			socket.close();
			this.#lost(0, session.key);
		}, ms);
	}

	#hear(message: Message) {
		switch (message.type) {
			case 'hello':
				this.#greeted(message);
				break;
			case 'change':
				this.#changed(message);
				break;
			case 'replica': {
				const others = this.replicas.filter((replica) => replica.id !== message.id);
				const all = message.state === 'gone' ? others : [...others, message];
				this.replicas = all.toSorted((a, b) => a.id.localeCompare(b.id));
				break;
			}
			case 'ping':
				this.#socket?.send('{"type":"pong"}');
		}
	}

	#greeted(hello: Extract<Message, { type: 'hello' }>) {
		const isNew = this.#since === undefined;
		this.status = 'live';
		this.#delay = FIRST_DELAY_MS;
		this.replicaId = hello.replica_id;
		this.replicas = hello.replicas;
		this.version = hello.version;
		this.#since ??= hello.version;
		// What a page read before may be older than this version.
		if (isNew) this.#tell(undefined);
	}

	#changed(change: Change) {
		// A version may have several changes and the connection may end between them, so the last
		// version is asked for again; what is known of it is passed over.
		if (change.version > (this.#since ?? 0) + 1) this.#known.clear();
		const name = `${change.version} ${change.entity} ${change.entity_id}`;
		if (this.#known.has(name)) return;
		this.#known.add(name);
		this.#since = Math.max(this.#since ?? 0, change.version - 1);
		this.version = Math.max(this.version ?? 0, change.version);
		this.#tell(change);
	}

	#lost(code: number, key: string) {
		clearTimeout(this.#silence);
		this.status = 'lost';
		// The server says the same of a key that came late.
		if (code === UNAUTHORIZED) void this.#ask(key);
		if (code === AHEAD) {
			this.#since = undefined;
			this.#known.clear();
		}
		clearTimeout(this.#timer);
		this.#timer = setTimeout(() => this.#connect(), this.#delay * (0.75 + Math.random() / 2));
		this.#delay = Math.min(this.#delay * 2, LONGEST_DELAY_MS);
	}

	async #ask(key: string) {
		// When the server does not say, the next attempt to connect tells.
		if (!(await isAdminKey(key).catch(() => true))) session.refused(key);
	}

	#now = () => {
		if (this.status === 'lost' && document.visibilityState === 'visible') this.#connect();
	};
}

export const feed = new Feed();

const SOON_MS = 50;
const AGAIN_MS = 250;
const TIMES = 8;

/**
 * Runs `act` after changes of `entity`, once for several at a time, while the component is there.
 * With `version`, that of what was read: another replica may answer that is not as far yet, so that it reads again.
 */
export function whenChanged(entity: Change['entity'] | 'any', act: () => Promise<unknown> | void, version?: () => number | undefined) {
	$effect(() => {
		let timer: ReturnType<typeof setTimeout> | undefined;
		let [isRunning, isDue, isOver] = [false, false, false];
		let [wanted, left] = [0, 0];
		const run = async () => {
			timer = undefined;
			[isRunning, isDue] = [true, false];
			await act();
			isRunning = false;
			const isBehind = (version?.() ?? wanted) < wanted && left-- > 0;
			if (isDue || isBehind) soon(isBehind ? AGAIN_MS : SOON_MS);
		};
		const soon = (ms: number) => {
			isDue = true;
			if (!isRunning && !isOver) timer ??= setTimeout(run, ms);
		};
		const stop = feed.onChange((change) => {
			if (change && entity !== 'any' && change.entity !== entity) return;
			[wanted, left] = [change?.version ?? 0, TIMES];
			soon(SOON_MS);
		});
		return () => {
			isOver = true;
			clearTimeout(timer);
			stop();
		};
	});
}
