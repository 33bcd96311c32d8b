/** Runs `work` for each of `all`, so many at a time. */
export async function pooled<T>(all: T[], atOnce: number, work: (one: T) => Promise<void>): Promise<void> {
	const rest = [...all];
	const one = async () => {
		for (let next = rest.shift(); next !== undefined; next = rest.shift()) await work(next);
	};
	await Promise.all(Array.from({ length: atOnce }, one));
}
