// The three protocols as the playground speaks them: what is sent, and what the events of an answer say.
export type Protocol = 'openai' | 'anthropic' | 'response_api';

/** An image as a data URL. */
export interface Message {
	role: 'user' | 'assistant';
	text: string;
	images: string[];
}

export interface Asked {
	model: string;
	system: string;
	maxTokens: number | null;
	messages: Message[];
}

/** What an event adds to the answer. */
export interface Delta {
	text?: string;
	reasoning?: string;
	input?: number | undefined;
	output?: number | undefined;
	error?: string;
	/** The event that marks a whole answer. */
	isEnd?: boolean;
}

interface Spoken {
	label: string;
	path: string;
	body: (asked: Asked) => object;
	/** One event's data; undefined when it says nothing that is shown. */
	read: (data: string) => Delta | undefined;
}

const DEFAULT_MAX_TOKENS = 1024;
/** What a provider may put into an event. */
type Event = Record<string, any>;

const given = <T>(name: string, value: T | null | '') => (value === null || value === '' ? {} : { [name]: value });

function openaiContent({ text, images }: Message) {
	if (images.length === 0) return text;
	return [{ type: 'text', text }, ...images.map((url) => ({ type: 'image_url', image_url: { url } }))];
}

function anthropicContent({ text, images }: Message) {
	if (images.length === 0) return text;
	const sources = images.map((url) => /^data:([^;]+);base64,(.*)$/s.exec(url)).filter((found) => found !== null);
	const blocks = sources.map(([, media_type, data]) => ({ type: 'image', source: { type: 'base64', media_type, data } }));
	return [...blocks, { type: 'text', text }];
}

function responsesContent({ role, text, images }: Message) {
	const kind = role === 'user' ? 'input_text' : 'output_text';
	return [{ type: kind, text }, ...images.map((image_url) => ({ type: 'input_image', image_url }))];
}

const errorOf = (event: Event) => String(event.error?.message ?? event.message ?? 'The stream broke.');

function readChat(data: string): Delta | undefined {
	if (data === '[DONE]') return { isEnd: true };
	const event = JSON.parse(data) as Event;
	if (event.error) return { error: errorOf(event) };
	const delta = (event.choices?.[0]?.delta ?? {}) as Event;
	return {
		text: delta.content ?? delta.refusal ?? '',
		reasoning: delta.reasoning_content ?? delta.reasoning ?? '',
		input: event.usage?.prompt_tokens,
		output: event.usage?.completion_tokens
	};
}

function readMessages(data: string): Delta | undefined {
	const event = JSON.parse(data) as Event;
	switch (event.type) {
		case 'error':
			return { error: errorOf(event) };
		case 'message_start':
			return { input: event.message?.usage?.input_tokens };
		case 'content_block_delta':
			return { text: event.delta?.text ?? '', reasoning: event.delta?.thinking ?? '' };
		case 'message_delta':
			return { output: event.usage?.output_tokens, input: event.usage?.input_tokens };
		case 'message_stop':
			return { isEnd: true };
		default:
			return undefined;
	}
}

function readResponses(data: string): Delta | undefined {
	const event = JSON.parse(data) as Event;
	const usage = { input: event.response?.usage?.input_tokens, output: event.response?.usage?.output_tokens };
	switch (event.type) {
		case 'error':
			return { error: errorOf(event) };
		case 'response.failed':
			return { error: errorOf(event.response ?? {}), ...usage };
		case 'response.output_text.delta':
		case 'response.refusal.delta':
			return { text: event.delta };
		case 'response.reasoning_text.delta':
		case 'response.reasoning_summary_text.delta':
			return { reasoning: event.delta };
		case 'response.completed':
		case 'response.incomplete':
			return { isEnd: true, ...usage };
		default:
			return undefined;
	}
}

export const PROTOCOLS: Record<Protocol, Spoken> = {
	openai: {
		label: 'Chat Completions',
		path: '/v1/chat/completions',
		body: ({ model, system, maxTokens, messages }) => ({
			model,
			stream: true,
			stream_options: { include_usage: true },
			...given('max_tokens', maxTokens),
			messages: [
				...(system ? [{ role: 'system', content: system }] : []),
				...messages.map((message) => ({ role: message.role, content: openaiContent(message) }))
			]
		}),
		read: readChat
	},
	anthropic: {
		label: 'Messages',
		path: '/v1/messages',
		body: ({ model, system, maxTokens, messages }) => ({
			model,
			stream: true,
			max_tokens: maxTokens ?? DEFAULT_MAX_TOKENS,
			...given('system', system),
			messages: messages.map((message) => ({ role: message.role, content: anthropicContent(message) }))
		}),
		read: readMessages
	},
	response_api: {
		label: 'Responses',
		path: '/v1/responses',
		body: ({ model, system, maxTokens, messages }) => ({
			model,
			stream: true,
			...given('instructions', system),
			...given('max_output_tokens', maxTokens),
			input: messages.map((message) => ({ role: message.role, content: responsesContent(message) }))
		}),
		read: readResponses
	}
};

/** A command that sends the same; the key stays out of it. A here-document needs no quotes and has no limit of length. */
export function curl(protocol: Protocol, asked: Asked, origin: string): string {
	const { path, body } = PROTOCOLS[protocol];
	const headers = `-H "Authorization: Bearer $LLM_PROXY_KEY" \\\n  -H 'Content-Type: application/json'`;
	return `curl -N ${origin}${path} \\\n  ${headers} \\\n  --data-binary @- <<'JSON'\n${JSON.stringify(body(asked), null, 2)}\nJSON\n`;
}
