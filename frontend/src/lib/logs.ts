// Filters of the two logs, and what the pages of both share.
import type { Schemas } from './api/client';

export type RequestLog = Schemas['RequestLogItem'];
export type ErrorLog = Schemas['ErrorLogItem'];
export type LogKind = 'requests' | 'errors';
export const PATHS = { requests: '/admin/v1/logs', errors: '/admin/v1/error-logs' } as const;

export interface Filter {
	name: string;
	label: string;
	kind: 'text' | 'number' | 'time' | 'choice';
	choices?: [string, string][];
}

const YES_NO: [string, string][] = [
	['true', 'yes'],
	['false', 'no']
];
const names = (list: string[]) => list.map((name): [string, string] => [name, name.replaceAll('_', ' ')]);
const CATEGORIES =
	'provider_4xx provider_429 provider_5xx provider_auth timeout ttft_timeout connect_error network_error invalid_response stream_error client_error no_provider client_cancelled internal_error'.split(' ');

const START: Filter = { name: 'start_time', label: 'From', kind: 'time' };
const END: Filter = { name: 'end_time', label: 'Until', kind: 'time' };
const PROVIDER: Filter = { name: 'provider_name', label: 'Provider', kind: 'text' };
const CREDENTIAL: Filter = { name: 'credential_name', label: 'Credential', kind: 'text' };
const REQUEST: Filter = { name: 'request_id', label: 'Request id', kind: 'text' };

export const FILTERS: Record<LogKind, Filter[]> = {
	requests: [
		PROVIDER,
		{ name: 'model', label: 'Model', kind: 'text' },
		CREDENTIAL,
		{ name: 'outcome', label: 'Outcome', kind: 'choice', choices: names(['complete', 'failed', 'cancelled']) },
		{ name: 'status_code', label: 'Status', kind: 'number' },
		START,
		END,
		{ name: 'is_streaming', label: 'Streamed', kind: 'choice', choices: YES_NO },
		{ name: 'estimated', label: 'Tokens estimated', kind: 'choice', choices: YES_NO },
		{ name: 'client', label: 'Client program', kind: 'text' },
		REQUEST
	],
	errors: [PROVIDER, CREDENTIAL, { name: 'error_category', label: 'Category', kind: 'choice', choices: names(CATEGORIES) }, REQUEST, START, END]
};

export const SORTS: Record<LogKind, [string, string][]> = {
	requests: [
		['timestamp', 'time'],
		['total_duration_ms', 'duration'],
		['ttft_ms', 'time to first token'],
		['total_tokens', 'tokens'],
		['input_tokens', 'input tokens'],
		['output_tokens', 'output tokens'],
		['status_code', 'status']
	],
	errors: [
		['timestamp', 'time'],
		['total_duration_ms', 'duration'],
		['attempt', 'attempt'],
		['response_status_code', 'status']
	]
};

/** Columns; `#` marks numbers. */
export const HEADS: Record<LogKind, string[]> = {
	requests: ['Time', 'Status', 'Model', 'Provider', 'Credential', '#Tokens', '#Cost', '#Duration', '#First token'],
	errors: ['Time', 'Status', 'Category', 'Model', 'Provider', 'Credential', '#Attempt', '#Duration', 'Message']
};

/** How often the first page of a log is read again. */
export const LOG_EVERY_MS = 5000;

/** Where each log was looked at last, with its filters, so that a row leads back there. */
class LogPlace {
	#last: Record<LogKind, string> = { requests: '?kind=requests', errors: '?kind=errors' };

	remember(kind: LogKind) {
		const query = new URLSearchParams(location.search);
		query.set('kind', kind);
		this.#last[kind] = `?${query.toString()}`;
	}

	of(kind: LogKind): string {
		return this.#last[kind];
	}
}
export const logPlace = new LogPlace();

/** Text that is JSON, set out; any other text as it is. */
export function setOut(text: string | null): string {
	if (!text) return '';
	try {
		return JSON.stringify(JSON.parse(text), null, 2);
	} catch {
		return text;
	}
}

export interface Span {
	label: string;
	/** Milliseconds since the request came in. */
	from: number;
	to: number;
	tone: 'bad' | 'wait' | 'stream';
	note: string;
}

/** What happened when, from a request and its failed attempts. */
export function waterfall(log: RequestLog, failures: ErrorLog[]): Span[] {
	const begin = Date.parse(log.timestamp);
	const total = log.total_duration_ms ?? 0;
	const within = (ms: number) => Math.min(Math.max(ms, 0), total);
	const failed = failures
		.filter((one) => one.provider_name !== null)
		.map((one): Span => {
			const to = within(Date.parse(one.timestamp) - begin);
			const note = [one.response_status_code, one.error_message].filter(Boolean).join(' ');
			return { label: `Attempt ${one.attempt}: ${one.provider_name}`, from: within(to - (one.total_duration_ms ?? 0)), to, tone: 'bad', note };
		});
	if (log.outcome === 'failed' && failed.length >= log.attempts) return failed;
	const start = failed.at(-1)?.to ?? 0;
	const first = log.ttft_ms === null ? total : within(log.ttft_ms);
	const name = log.provider_name ?? 'llm-proxy';
	const answer: Span = { label: `${name}: ${log.ttft_ms === null ? 'answer' : 'to the first token'}`, from: Math.min(start, first), to: first, tone: 'wait', note: '' };
	if (first >= total) return [...failed, answer];
	return [...failed, answer, { label: `${name}: the rest`, from: first, to: total, tone: 'stream', note: '' }];
}
