// Writes a .br and a .gz beside every text file of the build that becomes smaller by it.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const BUILD = new URL('../build', import.meta.url).pathname;
const TEXT = /\.(js|css|html|svg|json|txt)$/;

for (const entry of readdirSync(BUILD, { recursive: true, withFileTypes: true })) {
	if (!entry.isFile() || !TEXT.test(entry.name)) continue;
	const path = join(entry.parentPath, entry.name);
	const plain = readFileSync(path);
	const quality = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: plain.length };
	const forms = { br: brotliCompressSync(plain, { params: quality }), gz: gzipSync(plain, { level: 9 }) };
	for (const [end, bytes] of Object.entries(forms)) {
		if (bytes.length < plain.length) writeFileSync(`${path}.${end}`, bytes);
	}
}
