// An edit form whose row may change elsewhere meanwhile.
import type { Change } from './api/client';
import { ApiError } from './api/error';
import { feed } from './feed.svelte';

interface Edited<T> {
	entity: Change['entity'];
	id: number;
	/** The row as the form knows it. */
	known: () => T | undefined;
	isDirty: () => boolean;
	read: () => Promise<T>;
	differing: (before: T, after: T) => string[];
	take: (row: T) => void;
	/** Takes the row as the base of what is written, without showing it. */
	rebase: (row: T) => void;
}

/** Another replica may answer that does not know of a change yet: so often and after so long it is asked again. */
const TIMES = 4;
const AGAIN_MS = 300;

export class EditGuard<T extends { updated_at: string }> {
	/** What somebody else did, until the person has decided. */
	conflict = $state.raw<{ who: string; theirs: T | undefined; fields: string[] } | undefined>();
	#isSaving = false;
	/** Who changed the row while it was being saved. */
	#meanwhile: string[] = [];
	#timer: ReturnType<typeof setTimeout> | undefined;

	constructor(readonly edited: Edited<T>) {}

	/** Follows the feed while the component is there. */
	watch() {
		$effect(() => {
			const stop = feed.onChange((change) => {
				const { entity, id } = this.edited;
				if (change && (change.entity !== entity || change.entity_id !== id)) return;
				if (this.#isSaving) this.#meanwhile.push(change?.actor ?? '');
				else this.#follow(change?.actor, change ? TIMES : 0);
			});
			return () => {
				stop();
				clearTimeout(this.#timer);
			};
		});
	}

	#follow(who: string | undefined, left: number) {
		clearTimeout(this.#timer);
		const again = () => {
			if (left > 0) this.#timer = setTimeout(() => this.#follow(who, left - 1), AGAIN_MS);
		};
		// What cannot be read now is looked at again before it is saved.
		this.look(who, left === 0).then((found) => found === 'same' && again(), again);
	}

	/** Compares with the server. A row that seems older may come from a replica that is behind: `isSure` says that it does not. */
	async look(who = 'Somebody', isSure = false): Promise<'same' | 'taken' | 'conflict'> {
		if (!this.edited.known()) return 'same';
		const theirs = await this.edited.read().catch((error: unknown) => {
			if (error instanceof ApiError && error.status === 404) return undefined;
			throw error;
		});
		const known = this.edited.known();
		if (!known) return 'same';
		if (!theirs) {
			this.conflict = { who, theirs, fields: [] };
			return 'conflict';
		}
		const fields = this.edited.differing(known, theirs);
		const later = Date.parse(theirs.updated_at) - Date.parse(known.updated_at);
		// Plain SQL leaves the time as it is.
		if ((later < 0 && !isSure) || (later === 0 && fields.length === 0)) return 'same';
		if (this.edited.isDirty()) {
			this.conflict = { who, theirs, fields };
			return 'conflict';
		}
		this.edited.take(theirs);
		return 'taken';
	}

	takeTheirs = () => {
		if (this.conflict?.theirs) this.edited.take(this.conflict.theirs);
		this.conflict = undefined;
	};

	keepMine = () => {
		if (this.conflict?.theirs) this.edited.rebase(this.conflict.theirs);
		this.conflict = undefined;
	};

	/** Runs `write` unless there is something to decide first. */
	async save(write: () => Promise<void>): Promise<boolean> {
		if (this.conflict || (await this.look()) === 'conflict') return false;
		this.#isSaving = true;
		try {
			await write();
			return true;
		} finally {
			this.#isSaving = false;
			const who = this.#meanwhile.at(-1);
			this.#meanwhile = [];
			if (who !== undefined) this.#follow(who || undefined, TIMES);
		}
	}
}
