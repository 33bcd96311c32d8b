import { sveltekit } from '@sveltejs/kit/vite';
import tailwindcss from '@tailwindcss/vite';
import { defineConfig } from 'vitest/config';

// `npm run dev` talks to a server that was started beside it.
const server = process.env.LLM_PROXY_URL ?? 'http://127.0.0.1:18000';
const toServer = { target: server, ws: true };

export default defineConfig({
	plugins: [tailwindcss(), sveltekit()],
	build: { target: 'es2022', assetsInlineLimit: 0 },
	server: { proxy: { '/admin/v1': toServer, '/health': toServer, '/v1': toServer, '/v2': toServer } },
	test: { include: ['src/**/*.test.ts', 'scripts/**/*.test.mjs'] }
});
