// Keeps the end of what grows in sight, for who looks at it; who has scrolled up is left alone.
const NEAR_PX = 80;

export function followEnd(box: HTMLElement): () => void {
	const page = document.documentElement;
	const isNear = () => page.scrollHeight - innerHeight - scrollY < NEAR_PX;
	let isThere = isNear();
	const look = () => (isThere = isNear());
	const watcher = new ResizeObserver(() => {
		if (isThere) scrollTo({ top: page.scrollHeight, behavior: 'instant' });
	});
	watcher.observe(box);
	addEventListener('scroll', look, { passive: true });
	return () => {
		watcher.disconnect();
		removeEventListener('scroll', look);
	};
}
