// What the playground shows. It outlives the page of the playground, so that a look at the log loses nothing.
import { session } from '$lib/session.svelte';
import { Conversation } from './conversation.svelte';
import type { Protocol } from './protocols';

class Playground {
	conversation = new Conversation();
	protocol = $state<Protocol>('openai');
	model = $state('');
	system = $state('');
	maxTokens = $state<number | null>(null);
	text = $state('');
	images = $state<string[]>([]);

	get asked() {
		return { model: this.model.trim(), system: this.system.trim(), maxTokens: this.maxTokens ?? null };
	}

	clear() {
		this.conversation.clear();
		[this.model, this.system, this.text, this.images, this.maxTokens] = ['', '', '', [], null];
	}
}

export const playground = new Playground();
session.whenLeaving(() => playground.clear());
