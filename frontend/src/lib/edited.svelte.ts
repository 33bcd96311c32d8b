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

export class EditGuard<T extends { updated_at: string }> {
	/** What somebody else did, until the person has decided. */
	conflict = $state.raw<{ who: string; theirs: T | undefined; fields: string[] } | undefined>();
	isSaving = false;

	constructor(readonly edited: Edited<T>) {}

	/** Follows the feed while the component is there. */
	watch() {
		$effect(() =>
			feed.onChange((change) => {
				const { entity, id } = this.edited;
				if (this.isSaving || (change && (change.entity !== entity || change.entity_id !== id))) return;
				void this.look(change?.actor);
			})
		);
	}

	/** Compares with the server; true when nobody else was there. */
	async look(who = 'Somebody'): Promise<boolean> {
		const known = this.edited.known();
		if (!known) return true;
		const theirs = await this.edited.read().catch((error: unknown) => {
			if (error instanceof ApiError && error.status === 404) return undefined;
			throw error;
		});
		if (!theirs) {
			this.conflict = { who, theirs, fields: [] };
			return false;
		}
		if (theirs.updated_at === known.updated_at) return true;
		const fields = this.edited.differing(known, theirs);
		if (!this.edited.isDirty()) {
			this.edited.take(theirs);
			return true;
		}
		this.conflict = { who, theirs, fields };
		return false;
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
		if (this.conflict || !(await this.look())) return false;
		this.isSaving = true;
		try {
			await write();
			return true;
		} finally {
			this.isSaving = false;
		}
	}
}
