// Reading server-sent events (WHATWG HTML, 9.2.6) of an answer's body.

/** The data of each event, as they come. */
export async function* events(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
	const reader = body.pipeThrough(new TextDecoderStream() as unknown as TransformStream<Uint8Array, string>).getReader();
	let text = '';
	for (;;) {
		const { done, value } = await reader.read();
		if (done) return;
		text = (text + value).replaceAll('\r\n', '\n');
		const parts = text.split('\n\n');
		text = parts.pop() ?? '';
		for (const part of parts) {
			const lines = part.split('\n').filter((line) => line.startsWith('data:'));
			const data = lines.map((line) => line.slice(5).replace(/^ /, '')).join('\n');
			if (data) yield data;
		}
	}
}
