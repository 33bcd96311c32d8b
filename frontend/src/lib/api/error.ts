/** A call that was refused, or that no server answered (`status` 0). */
export class ApiError extends Error {
	constructor(
		readonly status: number,
		message: string,
		readonly field: string | null = null
	) {
		super(message);
	}
}

/** The error in a body of the admin API, or the best that can be said without one. */
export function errorOf(status: number, body: unknown): ApiError {
	const error = (body as { error?: { message?: unknown; field?: unknown } } | undefined)?.error;
	const message = typeof error?.message === 'string' ? error.message : `The server answered ${status}.`;
	return new ApiError(status, message, typeof error?.field === 'string' ? error.field : null);
}

/** What to tell a person of anything that was thrown. */
export function tell(error: unknown): string {
	return error instanceof Error ? error.message : String(error);
}

export function isAbort(error: unknown): boolean {
	return error instanceof DOMException && error.name === 'AbortError';
}
