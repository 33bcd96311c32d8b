import adapter from '@sveltejs/adapter-static';
import { vitePreprocess } from '@sveltejs/vite-plugin-svelte';

/** @type {import('@sveltejs/kit').Config} */
export default {
	preprocess: vitePreprocess(),
	compilerOptions: { runes: true },
	kit: {
		// Compressed by scripts/compress.mjs, which leaves out what is too small to gain.
		adapter: adapter({ fallback: 'index.html', precompress: false }),
		paths: { base: '/admin', relative: false },
		// The server adds the policy as a header, with the hashes of what is inline in the page.
		version: { pollInterval: 0 }
	}
};
