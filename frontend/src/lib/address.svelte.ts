// Filters in the address bar, so that a page can be shared and the back button works.
import { untrack } from 'svelte';
import { goto } from '$app/navigation';
import { page } from '$app/state';
import { queryString } from './api/client';

export function parameter(name: string): string {
	return page.url.searchParams.get(name) ?? '';
}

/** Changes some parameters; nothing removes one. */
export function setParameters(changes: Record<string, string | number | undefined>, replaceState = true): Promise<void> {
	const all = { ...Object.fromEntries(page.url.searchParams), ...changes };
	return goto(page.url.pathname + queryString(all), { replaceState, keepFocus: true, noScroll: true });
}

interface Paged {
	page?: number | null | undefined;
	total_pages?: number | null | undefined;
}

/** Goes to the last page of a list that has become shorter than the page in the address. */
export function stayWithin(list: () => Paged | undefined) {
	$effect(() => {
		const { page, total_pages: pages } = list() ?? {};
		if (page && pages && page > pages) untrack(() => void setParameters({ page: pages }));
	});
}
