// Markdown as safe HTML, with coloured code. Loaded with the first answer.
import DOMPurify from 'dompurify';
import hljs from 'highlight.js/lib/core';
import bash from 'highlight.js/lib/languages/bash';
import css from 'highlight.js/lib/languages/css';
import go from 'highlight.js/lib/languages/go';
import javascript from 'highlight.js/lib/languages/javascript';
import json from 'highlight.js/lib/languages/json';
import python from 'highlight.js/lib/languages/python';
import rust from 'highlight.js/lib/languages/rust';
import sql from 'highlight.js/lib/languages/sql';
import typescript from 'highlight.js/lib/languages/typescript';
import xml from 'highlight.js/lib/languages/xml';
import yaml from 'highlight.js/lib/languages/yaml';
import { Marked } from 'marked';

const LANGUAGES = { bash, css, go, javascript, json, python, rust, sql, typescript, xml, yaml };
for (const [name, language] of Object.entries(LANGUAGES)) hljs.registerLanguage(name, language);

const escape = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

const marked = new Marked({
	async: false,
	gfm: true,
	breaks: true,
	renderer: {
		/** HTML is shown as it was written. */
		html: ({ text }) => escape(text),
		/** An image of another origin would tell it who reads this. */
		image: ({ href, text }) => `<a href="${escape(href)}">${escape(text || href)}</a>`,
		/** Where it leads is to be seen before it is followed. */
		link({ href, tokens }) {
			return `<a href="${escape(href)}" title="${escape(href)}">${this.parser.parseInline(tokens)}</a>`;
		},
		code({ text, lang }) {
			const name = lang?.split(/\s/)[0] ?? '';
			const shown = hljs.getLanguage(name) ? hljs.highlight(text, { language: name }).value : escape(text);
			return `<pre tabindex="0"><code>${shown}</code></pre>`;
		}
	}
});

const purify = DOMPurify(window);
purify.addHook('afterSanitizeAttributes', (node) => {
	if (node.tagName === 'A') node.setAttribute('rel', 'noopener noreferrer');
	if (node.tagName === 'A') node.setAttribute('target', '_blank');
});

/** Longer texts would keep the page busy. */
const LONGEST = 200_000;

/**
 * What a model wrote; nothing of it can run, and no image of another origin is asked for.
 * Undefined when it is better shown as it is.
 */
export function render(text: string): string | undefined {
	if (text.length > LONGEST) return undefined;
	try {
		return harmless(text);
	} catch {
		// As with thousands of quotes within each other.
		return undefined;
	}
}

function harmless(text: string): string {
	const html = marked.parse(text) as string;
	return purify.sanitize(html, { FORBID_ATTR: ['style', 'id', 'name'], FORBID_TAGS: ['style', 'form', 'input', 'button', 'img', 'svg', 'math', 'video', 'audio'] });
}
