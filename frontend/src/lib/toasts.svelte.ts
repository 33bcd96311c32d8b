// Short messages that come and go.
export interface Toast {
	id: number;
	text: string;
	tone: 'good' | 'bad';
}

const SHOWN_MS = 6000;

class Toasts {
	list = $state<Toast[]>([]);
	#next = 1;

	add(text: string, tone: Toast['tone'] = 'good') {
		const id = this.#next++;
		this.list.push({ id, text, tone });
		// An error stays until it is read.
		if (tone === 'good') setTimeout(() => this.remove(id), SHOWN_MS);
	}

	remove(id: number) {
		this.list = this.list.filter((toast) => toast.id !== id);
	}
}

export const toasts = new Toasts();
