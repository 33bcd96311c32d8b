// The typed client of the admin API.
import createClient, { type Middleware } from 'openapi-fetch';
import { session } from '$lib/session.svelte';
import { ApiError, errorOf, isAbort } from './error';
import type { components, paths } from './schema';

export type Schemas = components['schemas'];
export type Provider = Schemas['Provider'];
export type Credential = Schemas['Credential'];
export type Change = Schemas['ConfigChange'];
export type ProviderHealth = Schemas['ProviderHealth'];
export type Explanation = Schemas['RoutingExplanation'];

/** The headers that say who asks. */
export function authorization(): Record<string, string> {
	const headers: Record<string, string> = { authorization: `Bearer ${session.key}` };
	if (session.actor) headers['x-admin-actor'] = session.actor;
	return headers;
}

async function reach(request: Request): Promise<Response> {
	try {
		const response = await fetch(request);
		if (response.status === 401) session.refused((request.headers.get('authorization') ?? '').slice('Bearer '.length));
		return response;
	} catch (error) {
		if (isAbort(error)) throw error;
		throw new ApiError(0, 'The server cannot be reached.');
	}
}

const identify: Middleware = {
	onRequest({ request }) {
		for (const [name, value] of Object.entries(authorization())) request.headers.set(name, value);
		return request;
	}
};

export const api = createClient<paths>({ baseUrl: location.origin, fetch: reach });
api.use(identify);

interface Answer<T> {
	data?: T;
	error?: unknown;
	response: Response;
}

/** The data of an answer; throws what was refused. */
export async function ok<T>(answer: Promise<Answer<T>>): Promise<T> {
	const { data, error, response } = await answer;
	if (!response.ok) throw errorOf(response.status, error);
	return data as T;
}

export type Query = Record<string, string | number | boolean | null | undefined>;

export function queryString(query: Query): string {
	const entries = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== '');
	const text = new URLSearchParams(entries.map(([name, value]) => [name, String(value)])).toString();
	return text ? `?${text}` : '';
}

interface Options {
	method?: string;
	query?: Query;
	body?: unknown;
	signal?: AbortSignal | undefined;
}

/** A call whose path is known only at run time. */
export async function send(path: string, { method = 'GET', query = {}, body, signal }: Options = {}): Promise<Response> {
	const init: RequestInit = { method, headers: authorization(), signal: signal ?? null };
	if (body !== undefined) {
		init.body = JSON.stringify(body);
		init.headers = { ...authorization(), 'content-type': 'application/json' };
	}
	const response = await reach(new Request(location.origin + path + queryString(query), init));
	if (!response.ok) throw errorOf(response.status, await response.json().catch(() => undefined));
	return response;
}

/** The same, for JSON. */
export async function call<T>(path: string, options: Options = {}): Promise<T> {
	const response = await send(path, options);
	return (response.status === 204 ? undefined : await response.json()) as T;
}
