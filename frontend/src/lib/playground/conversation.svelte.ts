// A conversation in the playground: one answer at a time, as its stream comes.
import { isAbort, tell } from '$lib/api/error';
import { events } from './events';
import { PROTOCOLS, type Asked, type Message, type Protocol } from './protocols';

export interface Turn extends Message {
	id: number;
	reasoning: string;
	state: 'streaming' | 'done' | 'stopped' | 'failed';
	error: string;
	/** Milliseconds from the send to the first text and to the end. */
	first?: number | undefined;
	total?: number | undefined;
	input?: number | undefined;
	output?: number | undefined;
	provider: string;
	requestId: string;
}

let made = 0;
function turn(role: Message['role'], text = '', images: string[] = []): Turn {
	const state = role === 'user' ? 'done' : 'streaming';
	return { id: ++made, role, text, images, reasoning: '', state, error: '', provider: '', requestId: '' };
}

async function refusal(response: Response): Promise<string> {
	const body = (await response.json().catch(() => undefined)) as { error?: { message?: string } } | undefined;
	return `${response.status}: ${body?.error?.message ?? 'the server gave no reason'}`;
}

export class Conversation {
	turns = $state<Turn[]>([]);
	#abort: AbortController | undefined;

	get isStreaming() {
		return this.turns.at(-1)?.state === 'streaming';
	}

	/** What is sent with the next question: what was answered so far, and the question. */
	messages(text: string, images: string[]): Message[] {
		const said = this.turns.filter((one) => one.role === 'user' || one.text !== '');
		return [...said.map(({ role, text, images }) => ({ role, text, images })), { role: 'user', text, images }];
	}

	/** With an empty `key` it is asked as anybody. */
	async ask(protocol: Protocol, asked: Omit<Asked, 'messages'>, key: string, text: string, images: string[]): Promise<void> {
		const messages = this.messages(text, images);
		this.turns.push(turn('user', text, images), turn('assistant'));
		const answer = this.turns.at(-1)!;
		const abort = (this.#abort = new AbortController());
		const begun = performance.now();
		try {
			const { path, body } = PROTOCOLS[protocol];
			const response = await fetch(path, {
				method: 'POST',
				headers: { ...(key ? { authorization: `Bearer ${key}` } : {}), 'content-type': 'application/json' },
				body: JSON.stringify(body({ ...asked, messages })),
				signal: abort.signal
			});
			answer.provider = response.headers.get('x-llm-proxy-provider') ?? '';
			answer.requestId = response.headers.get('x-request-id') ?? '';
			if (!response.ok || !response.body) throw new Error(await refusal(response));
			await this.#hear(protocol, response.body, answer, begun);
		} catch (error) {
			answer.state = isAbort(error) ? 'stopped' : 'failed';
			if (!isAbort(error)) answer.error = error instanceof TypeError ? 'The connection broke.' : tell(error);
		}
		answer.total = performance.now() - begun;
	}

	async #hear(protocol: Protocol, body: ReadableStream<Uint8Array>, answer: Turn, begun: number) {
		let isWhole = false;
		for await (const data of events(body)) {
			const delta = PROTOCOLS[protocol].read(data);
			if (!delta) continue;
			if (delta.error) throw new Error(delta.error);
			if (delta.text || delta.reasoning) answer.first ??= performance.now() - begun;
			answer.text += delta.text ?? '';
			answer.reasoning += delta.reasoning ?? '';
			answer.input = delta.input ?? answer.input;
			answer.output = delta.output ?? answer.output;
			isWhole ||= delta.isEnd === true;
		}
		if (!isWhole) throw new Error('The stream ended before the answer was whole.');
		answer.state = 'done';
	}

	stop() {
		this.#abort?.abort();
	}

	clear() {
		this.stop();
		this.turns = [];
	}
}
