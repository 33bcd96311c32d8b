import { expect, it } from 'vitest';
import { events } from './events';
import { curl, PROTOCOLS, type Asked } from './protocols';

const image = 'data:image/png;base64,AAAA';
const asked: Asked = { model: 'm', system: 'be brief', maxTokens: null, messages: [{ role: 'user', text: 'see', images: [image] }] };

it('sends an image in the way of each protocol', () => {
	expect(JSON.stringify(PROTOCOLS.openai.body(asked))).toContain(`{"type":"image_url","image_url":{"url":"${image}"}}`);
	expect(JSON.stringify(PROTOCOLS.anthropic.body(asked))).toContain('"source":{"type":"base64","media_type":"image/png","data":"AAAA"}');
	expect(JSON.stringify(PROTOCOLS.response_api.body(asked))).toContain(`{"type":"input_image","image_url":"${image}"}`);
});

it('reads text, reasoning, usage and failures of each protocol', () => {
	expect(PROTOCOLS.openai.read('{"choices":[{"delta":{"content":"a","reasoning_content":"r"}}]}')).toMatchObject({ text: 'a', reasoning: 'r' });
	expect(PROTOCOLS.openai.read('{"error":{"message":"no"}}')).toEqual({ error: 'no' });
	expect(PROTOCOLS.openai.read('[DONE]')).toEqual({ isEnd: true });
	const delta = (type: string, text: string) => JSON.stringify({ type: 'content_block_delta', delta: { type, [type.split('_')[0]!]: text } });
	expect(PROTOCOLS.anthropic.read(delta('text_delta', 'a'))).toMatchObject({ text: 'a' });
	expect(PROTOCOLS.anthropic.read(delta('thinking_delta', 'r'))).toMatchObject({ reasoning: 'r' });
	expect(PROTOCOLS.anthropic.read('{"type":"ping"}')).toBeUndefined();
	expect(PROTOCOLS.response_api.read('{"type":"response.completed","response":{"usage":{"input_tokens":3,"output_tokens":4}}}')).toEqual({
		isEnd: true,
		input: 3,
		output: 4
	});
	expect(PROTOCOLS.response_api.read('{"type":"response.failed","response":{"error":{"message":"no"}}}')).toMatchObject({ error: 'no' });
});

it('writes a command that a shell runs as it is, whatever is in it', async () => {
	const { execFileSync } = await import('node:child_process');
	const odd = { ...asked, system: `it's "$HOME" \\ \`id\`\nJSON\n`, messages: [{ role: 'user' as const, text: 'x'.repeat(300_000), images: [] }] };
	const command = curl('openai', odd, 'http://h');
	expect(command).toContain('http://h/v1/chat/completions');
	const sent = execFileSync('bash', ['-s'], { input: `curl() { cat; }\n${command}`, encoding: 'utf8', maxBuffer: 1 << 24 });
	expect(JSON.parse(sent)).toEqual(PROTOCOLS.openai.body(odd));
});

it('reads events whatever pieces they come in', async () => {
	const text = ': ping\n\ndata: {"a":1}\r\n\r\nevent: x\ndata: b\ndata: c\n\n';
	const bytes = new TextEncoder().encode(text);
	const body = new ReadableStream<Uint8Array>({
		start(controller) {
			for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
			controller.close();
		}
	});
	const found = [];
	for await (const data of events(body)) found.push(data);
	expect(found).toEqual(['{"a":1}', 'b\nc']);
});
