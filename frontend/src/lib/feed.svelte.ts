// The feed of configuration changes: one websocket for the whole page.
import { base } from '$app/paths';
import type { Change, Schemas } from './api/client';
import { session } from './session.svelte';

type Replica = Schemas['Replica'] & { state?: 'up' | 'gone' };
type Message =
	| { type: 'hello'; version: number; replica_id: string; replicas: Replica[] }
	| ({ type: 'change' } & Change)
	| ({ type: 'replica' } & Replica)
	| { type: 'ping' };

const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 15_000;
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
	#listeners = new Set<(change: Change | undefined) => void>();
	#known = new Set<string>();

	start() {
		if (this.status !== 'off') return;
		addEventListener('online', this.#now);
		this.#connect();
	}

	stop() {
		removeEventListener('online', this.#now);
		clearTimeout(this.#timer);
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
		const socket = new WebSocket(`${location.origin.replace(/^http/, 'ws')}${base}/v1/config/feed${since}`);
		this.#socket = socket;
		socket.onopen = () => socket.send(JSON.stringify({ type: 'auth', key: session.key }));
		socket.onmessage = (event) => this.#hear(JSON.parse(String(event.data)) as Message);
		socket.onclose = (event) => {
			if (this.#socket === socket) this.#lost(event.code);
		};
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
		const wasLost = this.status === 'lost';
		this.status = 'live';
		this.#delay = FIRST_DELAY_MS;
		this.replicaId = hello.replica_id;
		this.replicas = hello.replicas;
		this.version = hello.version;
		this.#since ??= hello.version;
		if (isNew && wasLost) this.#tell(undefined);
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

	#lost(code: number) {
		if (code === UNAUTHORIZED) {
			session.signOut('The admin key is not accepted any more. Sign in again.');
			return;
		}
		this.status = 'lost';
		if (code === AHEAD) this.#since = undefined;
		this.#timer = setTimeout(() => this.#connect(), this.#delay * (0.75 + Math.random() / 2));
		this.#delay = Math.min(this.#delay * 2, LONGEST_DELAY_MS);
	}

	#now = () => {
		if (this.status === 'lost') this.#connect();
	};
}

export const feed = new Feed();

/** Runs `act` after changes of `entity`, once for several at a time, while the component is there. */
export function whenChanged(entity: Change['entity'] | 'any', act: () => void) {
	$effect(() => {
		let timer: ReturnType<typeof setTimeout> | undefined;
		const stop = feed.onChange((change) => {
			if (change && entity !== 'any' && change.entity !== entity) return;
			clearTimeout(timer);
			timer = setTimeout(act, 50);
		});
		return () => {
			clearTimeout(timer);
			stop();
		};
	});
}
