// Made from openapi.json by `npm run api`. Do not edit.

export interface paths {
    "/admin/v1/auth/validate": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Tells whether the request has the admin key, for a log-in form.
         * @description Without any key the answer is 200 all the same.
         */
        post: operations["validate_admin_key"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/config/changes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Shows who changed what.
         * @description Also changes made with plain SQL, as the actor `sql`.
         */
        get: operations["list_config_changes"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/config/feed": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Tells of every change of the configuration over a websocket.
         * @description The key comes in the `Authorization` header, or, from browsers, in the first message:
         *     `{"type":"auth","key":"..."}`. The server sends `hello` (`version`, `replica_id`, `replicas`), then a
         *     `change` for every change above `since`, in order and once, then a `change` for each new one; `replica`
         *     (`id`, `version`, `seen_at`, `state`: `up` or `gone`) when another version is in force on a replica; and
         *     `ping`, which is to be answered with `{"type":"pong"}`. Close codes: 1000 normal, 1001 the server stops,
         *     4400 bad message, 4401 wrong or late key, 4408 no pong for 60 s, 4409 `since` is above the current version,
         *     4429 too slow: connect again with `since`, 4503 the database is lost.
         */
        get: operations["follow_config"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/config/reload": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Reads the database again, on this replica, whatever the version. */
        post: operations["reload_config"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/config/rollback": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Makes the configuration what it was at an earlier version.
         * @description The result is one new version. Providers return with their keys of then. A credential that
         *     still exists keeps its present key and is never switched on; a deleted one returns switched off.
         */
        post: operations["rollback_config"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/config/version": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Tells the version of the configuration in force. */
        get: operations["get_config_version"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/credentials": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Lists credentials by id. */
        get: operations["list_credentials"];
        put?: never;
        /**
         * Adds a credential.
         * @description A generated key is shown in this answer only.
         */
        post: operations["create_credential"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/credentials/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Shows one credential. */
        get: operations["get_credential"];
        /**
         * Changes a credential.
         * @description What is absent stays as it is; an empty object changes nothing.
         */
        put: operations["update_credential"];
        post?: never;
        /**
         * Removes a credential.
         * @description Running requests finish.
         */
        delete: operations["delete_credential"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/credentials/{id}/rotate": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Replaces a credential's key.
         * @description The old key works until the grace is over; a second rotation ends the first grace.
         */
        post: operations["rotate_credential"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/credentials/{id}/status": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /** Switches a credential on or off. */
        patch: operations["set_credential_status"];
        trace?: never;
    };
    "/admin/v1/error-logs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Lists error logs, newest first unless asked otherwise. */
        get: operations["list_error_logs"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/error-logs/batch-delete": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Deletes error logs by their ids. */
        post: operations["delete_error_logs"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/error-logs/export": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Gives error logs as a table for spreadsheets.
         * @description All rows that the filters mean, without headers and bodies. Text that a spreadsheet would take
         *     for a formula begins with an apostrophe. When the database fails half-way the answer is cut off.
         */
        get: operations["export_error_logs"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/error-logs/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Shows an error log with its headers and bodies. */
        get: operations["get_error_log"];
        put?: never;
        post?: never;
        /** Deletes an error log. */
        delete: operations["delete_error_log"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/explain": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Explains where a request would go, without sending it.
         * @description Takes nothing from the credential's bucket.
         */
        post: operations["explain"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/health/check": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Checks several providers, or all: several at a time, the models of each one after the other. */
        post: operations["check_providers"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/health/providers/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The same with the query `models=a,b`. */
        get: operations["get_provider_check"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/logs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Lists request logs, newest first unless asked otherwise. */
        get: operations["list_request_logs"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/logs/batch-delete": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Deletes request logs by their ids. */
        post: operations["delete_request_logs"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/logs/export": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Gives request logs as a table for spreadsheets.
         * @description All rows that the filters mean, without headers and bodies. Text that a spreadsheet would take
         *     for a formula begins with an apostrophe. When the database fails half-way the answer is cut off.
         */
        get: operations["export_request_logs"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/logs/stats": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Sums over request logs. */
        get: operations["get_log_stats"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/logs/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Shows a request log with its headers and bodies. */
        get: operations["get_request_log"];
        put?: never;
        post?: never;
        /** Deletes a request log. */
        delete: operations["delete_request_log"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/metrics/summary": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Sums up the requests of a time. */
        get: operations["get_metrics_summary"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/openapi.json": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Describes this API. */
        get: operations["get_openapi"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/providers": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Lists providers by id. */
        get: operations["list_providers"];
        put?: never;
        /** Adds a provider. */
        post: operations["create_provider"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/providers/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Shows one provider. */
        get: operations["get_provider"];
        /**
         * Changes a provider.
         * @description What is absent stays as it is; an empty object changes nothing.
         */
        put: operations["update_provider"];
        post?: never;
        /**
         * Removes a provider.
         * @description Running requests finish.
         */
        delete: operations["delete_provider"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/providers/{id}/health": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Asks a provider for a short answer of each model. The requests are paid for; the breaker learns nothing. */
        post: operations["check_provider"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/providers/{id}/status": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /** Switches a provider on or off. */
        patch: operations["set_provider_status"];
        trace?: never;
    };
    "/health/detailed": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Tells what this replica knows of itself, its database, Redis and every provider.
         * @description Asks nobody outside: all of it is what requests and background work have met.
         */
        get: operations["get_detailed_health"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** @description An error. */
        AdminError: {
            error: components["schemas"]["AdminErrorDetail"];
        };
        /** @description What went wrong. */
        AdminErrorDetail: {
            /**
             * Format: int32
             * @description The HTTP status.
             * @example 400
             */
            code: number;
            /** @description The path of the field at fault. */
            field: string | null;
            /** @description For people. */
            message: string;
            /**
             * @description One of `validation_error`, `unauthorized`, `not_found`, `conflict`, `upgrade_required`, `request_timeout`, `internal_error`,
             *     `database_unavailable`.
             */
            type: string;
        };
        CheckSummary: {
            healthy_models: number;
            total_models: number;
            unhealthy_models: number;
        };
        /** @description How to check a provider. At most 1048576 bytes. */
        CheckWish: {
            /**
             * @description Requests at a time.
             * @default 2
             */
            max_concurrent?: number;
            /** @description By default the exact keys of the mapping, else what its patterns lead to. */
            models?: string[];
            /**
             * @description Patience with each answer.
             * @default 30
             */
            timeout_secs?: number;
        };
        /** @description How to check providers. At most 1048576 bytes. */
        ChecksWish: {
            /**
             * @description Requests at a time.
             * @default 2
             */
            max_concurrent?: number;
            /** @description By default the exact keys of the mapping, else what its patterns lead to. */
            models?: string[];
            /** @description All providers by default. */
            provider_ids?: number[];
            /**
             * @description Patience with each answer.
             * @default 30
             */
            timeout_secs?: number;
        };
        /** @description One change of the configuration. */
        ConfigChange: {
            /** @description `create`, `update`, `delete` or `rollback`. */
            action: string;
            /** @description Who: the name that an admin gave, or `sql`. */
            actor: string;
            /** @description The row after; a secret that changed is `*** (changed)`. Null when the row is gone. */
            after: unknown;
            /**
             * Format: date-time
             * @description When.
             */
            at: string;
            /** @description The row before, secrets masked; null when there was none. */
            before: unknown;
            /** @description `provider` or `credential`. */
            entity: string;
            /**
             * Format: int32
             * @description Id of the row.
             */
            entity_id: number;
            /** @description The row's `provider_key` or `name`. */
            entity_name: string;
            /**
             * Format: int64
             * @description The version that the change made; all changes of a rollback share one.
             */
            version: number;
        };
        /** @description Changes of the configuration. */
        ConfigChanges: {
            /** @description In the order in which they were made; never only a part of a version. */
            changes: components["schemas"]["ConfigChange"][];
            /** @description Whether there are later ones. */
            has_more: boolean;
            /**
             * Format: int64
             * @description The version of the configuration in force.
             */
            version: number;
        };
        /** @description What a rollback changed, or would change. */
        ConfigRollback: {
            /** @description All at one version. */
            changes: components["schemas"]["ConfigChange"][];
            /**
             * Format: int64
             * @description The version that the configuration is now the same as, but for what credentials keep.
             */
            restored_to: number;
            /**
             * Format: int64
             * @description The version that the rollback made; the version before it when it changed nothing or was a dry run.
             */
            version: number;
        };
        /** @description The configuration in force on the replica that answers. */
        ConfigStatus: {
            credentials_count: number;
            providers_count: number;
            /**
             * Format: date-time
             * @description When that version was made.
             */
            timestamp: string;
            /** Format: int64 */
            version: number;
        };
        /** @description The configuration in force, here and elsewhere. */
        ConfigVersion: components["schemas"]["ConfigStatus"] & {
            /** @description The replicas seen in the last 30 seconds. */
            replicas: components["schemas"]["Replica"][];
        };
        /** @description A credential that was just made. */
        CreatedCredential: components["schemas"]["Credential"] & {
            /** @description The generated key, shown only here; absent when the request brought its own. */
            key?: string;
        };
        /** @description A credential. */
        Credential: {
            /** @description Which models it may use; empty means all. */
            allowed_models: string[];
            /**
             * Format: int32
             * @description Bucket size; null is `rate_limit`.
             */
            burst: number | null;
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            expires_at: string | null;
            /** Format: int32 */
            id: number;
            is_enabled: boolean;
            /** @description Where it was just created: the ends of the key. Later: the beginning of its hash. */
            key_preview: string;
            name: string;
            /**
             * Format: date-time
             * @description Until when the key before the last rotation still works.
             */
            previous_key_valid_until: string | null;
            /**
             * Format: int32
             * @description Requests per second; null is unlimited, 0 refuses everything.
             */
            rate_limit: number | null;
            /** Format: date-time */
            updated_at: string;
        };
        /** @description A change of a credential; what is absent stays as it is. At most 1048576 bytes. */
        CredentialChange: {
            /** @description Names, wildcards or regexes of models; empty allows all. */
            allowed_models?: string[];
            /** @description Bucket size; null is `rate_limit`. */
            burst?: number | null;
            /** Format: date-time */
            expires_at?: string | null;
            is_enabled?: boolean;
            /** @description Visible ASCII; the old key ends at once. */
            key?: string;
            name?: string;
            /** @description Requests per second; null is unlimited, 0 refuses everything. */
            rate_limit?: number | null;
        };
        /** @description Credentials by id. */
        CredentialList: components["schemas"]["Paging"] & {
            credentials: components["schemas"]["Credential"][];
            /**
             * Format: int64
             * @description The version of the configuration that was read.
             */
            version: number;
        };
        /** @description The database, as last met. */
        DatabaseHealth: {
            /** @description `sqlite` or `postgres`. */
            backend: string;
            /** @description Why it did not answer the last time that it did not; stays when it is up again. */
            last_error: string | null;
            /**
             * Format: double
             * @description How long its last answer took, in milliseconds.
             */
            latency_ms: number | null;
            /** @enum {string} */
            status: "up" | "down";
        };
        /** @description How many rows were deleted. */
        DeletedLogs: {
            deleted: number;
        };
        /** @description What a replica knows of its health. */
        DetailedHealth: {
            app_version: string;
            database: components["schemas"]["DatabaseHealth"];
            langfuse: components["schemas"]["LangfuseHealth"];
            /** @description All providers by id. */
            providers: components["schemas"]["ProviderHealth"][];
            redis: components["schemas"]["RedisHealth"];
            replica_id: string;
            snapshot: components["schemas"]["SnapshotHealth"];
            /** @enum {string} */
            status: "ok" | "degraded";
            /** Format: int64 */
            uptime_secs: number;
        };
        /** @description A failed attempt with its headers and bodies. */
        ErrorLogDetail: components["schemas"]["ErrorLogItem"] & {
            /** @description The body that was sent to the provider. */
            provider_request_body: string | null;
            /** @description What was sent to the provider, keys masked. */
            provider_request_headers: string | null;
            /** @description The client's body. */
            request_body: string | null;
            /** @description The client's headers as JSON, keys and cookies masked. */
            request_headers: string | null;
            /** @description The body of the provider's answer. */
            response_body: string | null;
        };
        /** @description A failed attempt, or an error of our own. */
        ErrorLogItem: {
            /**
             * Format: int32
             * @description Which attempt of the request it was, from 1; for an error of our own how many were made.
             */
            attempt: number;
            /** @description The client program. */
            client: string;
            /** @description The protocol the client spoke. */
            client_protocol: string;
            /** @description Whose key it was. */
            credential_name: string;
            /** @description The path without query. */
            endpoint: string;
            /** @description What kind of failure it was. */
            error_category: string;
            /** @description The code that clients get. */
            error_code: string | null;
            /** @description The same in words. */
            error_message: string | null;
            /**
             * Format: int64
             * @description Grows with every row.
             */
            id: number;
            /** @description Whether the client asked for a stream. */
            is_streaming: boolean;
            /** @description The model sent upstream. */
            mapped_model: string | null;
            /** @description The model the client named. */
            model_requested: string | null;
            /** @description Its address. */
            provider_api_base: string | null;
            /** @description The provider's key. */
            provider_name: string | null;
            /** @description The protocol it speaks. */
            provider_protocol: string | null;
            /** @description Our id of the request. */
            request_id: string;
            /**
             * Format: int32
             * @description The status of its answer, when one came.
             */
            response_status_code: number | null;
            /**
             * Format: date-time
             * @description When the request was accepted, or an attempt failed.
             */
            timestamp: string;
            /**
             * Format: int64
             * @description From the attempt's begin to its end, in milliseconds.
             */
            total_duration_ms: number | null;
        };
        /** @description A page of the error logs. */
        ErrorLogPage: components["schemas"]["Place"] & {
            /** @description Rows without headers and bodies. */
            items: components["schemas"]["ErrorLogItem"][];
        };
        /** @description Whether the admin key is right. */
        KeyValidity: {
            /** @description For people. */
            message: string;
            valid: boolean;
        };
        /** @description The export of traces. */
        LangfuseHealth: {
            /**
             * Format: int64
             * @description Events that were never sent.
             */
            dropped: number;
            enabled: boolean;
            /** @description Events that wait to be sent. */
            queued: number;
        };
        /** @description The last failed attempt. */
        LastError: {
            /** Format: date-time */
            at: string;
            /** @description As in the request log. */
            category: string;
            /** @description For people; keys are masked. */
            message: string;
            /**
             * Format: int32
             * @description The status of the provider's answer; null when it gave no usable one.
             */
            status: number | null;
        };
        /** @description Figures of a part of the time. */
        LogBucket: components["schemas"]["LogFigures"] & {
            /**
             * Format: date-time
             * @description A multiple of `bucket_secs` since 1970; the first bucket may begin before `start_time`, but
             *     counts no request from before it.
             */
            start: string;
        };
        /** @description Figures of some requests. */
        LogFigures: {
            /**
             * Format: int64
             * @description Those whose client left.
             */
            cancelled: number;
            /**
             * Format: int64
             * @description Micro-dollars; null where no request has a price.
             */
            cost_microusd: number | null;
            /**
             * Format: int64
             * @description Those with the outcome `failed`.
             */
            errors: number;
            /** Format: int64 */
            input_tokens: number;
            /** Format: int64 */
            output_tokens: number;
            /**
             * Format: int64
             * @description Half of the requests took no longer. In buckets of 5 minutes and more within 6.3 %.
             */
            p50_ms: number | null;
            /**
             * Format: int64
             * @description 95 % of the requests took no longer.
             */
            p95_ms: number | null;
            /** Format: int64 */
            requests: number;
            /** Format: int64 */
            total_tokens: number;
            /**
             * Format: int64
             * @description The same to the first byte.
             */
            ttft_p50_ms: number | null;
            /**
             * Format: int64
             * @description The same to the first byte.
             */
            ttft_p95_ms: number | null;
        };
        /** @description Rows to delete. At most 1048576 bytes. */
        LogIds: {
            /** @description Ids that no row has are ignored. */
            ids: number[];
        };
        /**
         * @description Sums over requests. Maps are by name; what reached no provider, or named no model, has the
         *     empty name.
         */
        LogStats: {
            /**
             * Format: double
             * @description From begin to end, in milliseconds; null without requests.
             */
            avg_duration_ms: number | null;
            /**
             * Format: double
             * @description To the first byte, in milliseconds; null where no request has one.
             */
            avg_ttft_ms: number | null;
            /** @description Micro-dollars by credential, where a request has a price. */
            cost_by_credential: {
                [key: string]: number;
            };
            /** @description Micro-dollars by model, where a request has a price. */
            cost_by_model: {
                [key: string]: number;
            };
            /** @description Micro-dollars by provider, where a request has a price. */
            cost_by_provider: {
                [key: string]: number;
            };
            /**
             * Format: double
             * @description `total_errors` as a part of `total_requests`, from 0 to 1.
             */
            error_rate: number;
            /** @description Requests by model. */
            requests_by_model: {
                [key: string]: number;
            };
            /** @description Requests by provider. */
            requests_by_provider: {
                [key: string]: number;
            };
            /** @description Requests by status. */
            requests_by_status: {
                [key: string]: number;
            };
            /**
             * Format: int64
             * @description Micro-dollars; null where no request has a price.
             */
            total_cost_microusd: number | null;
            /**
             * Format: int64
             * @description How many of them have the outcome `failed`.
             */
            total_errors: number;
            /**
             * Format: int64
             * @description Prompt tokens.
             */
            total_input_tokens: number;
            /**
             * Format: int64
             * @description Answer tokens.
             */
            total_output_tokens: number;
            /**
             * Format: int64
             * @description How many requests.
             */
            total_requests: number;
        };
        /** @description Figures of all replicas, from their request logs. */
        MetricsSummary: {
            /** Format: int64 */
            bucket_secs: number;
            /** @description Every bucket of the time, also empty ones. */
            buckets: components["schemas"]["LogBucket"][];
            /** @description Most requests first. */
            credentials: components["schemas"]["NamedFigures"][];
            /** @description Whether requests are logged. If not, there are no figures. */
            enabled: boolean;
            /** Format: date-time */
            end_time: string;
            /** @description Most requests first. */
            models: components["schemas"]["NamedFigures"][];
            /** @description Most requests first. */
            providers: components["schemas"]["NamedFigures"][];
            /** Format: date-time */
            start_time: string;
            totals: components["schemas"]["LogFigures"];
        };
        /** @description What one model did. */
        ModelCheck: {
            error?: string | null;
            model: string;
            /** Format: int64 */
            response_time_ms?: number | null;
            /** @enum {string} */
            status: "healthy" | "unhealthy" | "disabled" | "unknown";
        };
        /** @description Figures by name; what reached no provider, or named no model, has the empty name. */
        NamedFigures: components["schemas"]["LogFigures"] & {
            name: string;
        };
        /** @description A new credential. At most 1048576 bytes. */
        NewCredential: {
            /** @description Names, wildcards or regexes of models; empty allows all. */
            allowed_models?: string[];
            /** @description Bucket size; null is `rate_limit`. */
            burst?: number | null;
            /** Format: date-time */
            expires_at?: string | null;
            /** @default true */
            is_enabled?: boolean;
            /** @description Visible ASCII; generated when absent. */
            key?: string;
            name: string;
            /** @description Requests per second; null is unlimited, 0 refuses everything. */
            rate_limit?: number | null;
        };
        /** @description A new provider. At most 1048576 bytes. */
        NewProvider: {
            /** @description Absolute http(s) URL without user name, query and fragment. */
            api_base: string;
            /** @description The key to present to the provider; may be empty for `custom` only. */
            api_key: string;
            /** @default true */
            is_enabled?: boolean;
            /**
             * @description Model names, wildcards (`gpt-*`) or regexes, and what each is called at the provider. Replaced whole.
             * @example {
             *       "gpt-4o": "gpt-4o-2024-11-20",
             *       "claude-*": {
             *         "mapped_model": "claude-*",
             *         "max_tokens": 8192
             *       }
             *     }
             */
            model_mapping?: {
                [key: string]: string | {
                    cache_read_cost_per_1k_tokens?: number;
                    cache_write_cost_per_1k_tokens?: number;
                    input_cost_per_1k_tokens?: number;
                    mapped_model: string;
                    max_input_tokens?: number;
                    max_output_tokens?: number;
                    max_tokens?: number;
                    mode?: string;
                    output_cost_per_1k_tokens?: number;
                    reasoning_cost_per_1k_tokens?: number;
                    supports_computer_use?: boolean;
                    supports_function_calling?: boolean;
                    supports_pdf_input?: boolean;
                    supports_reasoning?: boolean;
                    supports_response_schema?: boolean;
                    supports_streaming?: boolean;
                    supports_vision?: boolean;
                };
            };
            /** @description The operator's name for it; cannot be changed later. */
            provider_key: string;
            /** @description Options of this provider. Replaced whole. */
            provider_params?: {
                anthropic_beta_allowlist?: string[];
                /** @enum {string} */
                anthropic_beta_policy?: "drop" | "allowlist" | "passthrough";
                api_version?: string;
                /** @description Extra request headers. Secret values read as `***`; `***` written back keeps the value. */
                headers?: {
                    [key: string]: string;
                };
                /** @default true */
                inject_usage?: boolean;
                max_concurrency?: number | null;
                /** @enum {string} */
                max_tokens_field?: "max_completion_tokens" | "max_tokens";
                /** @enum {string} */
                thinking_style?: "auto" | "adaptive" | "budget" | "off";
                timeouts?: {
                    connect_secs?: number;
                    request_secs?: number;
                    stream_idle_secs?: number;
                    stream_total_secs?: number;
                    ttft_secs?: number;
                };
            };
            /** @enum {string} */
            provider_type: "openai" | "azure" | "anthropic" | "response_api" | "custom";
            /**
             * @description Share of the traffic; 0 drains.
             * @default 1
             */
            weight?: number;
        };
        /** @description Where a page stands; absent when no page was asked for. */
        Paging: {
            /** @description This page; the first is 1. */
            page?: number;
            /** @description Rows on a full page. */
            page_size?: number;
            /** @description Rows on all pages. */
            total?: number;
            /** @description The number of pages. */
            total_pages?: number;
        };
        /** @description Where a page stands. */
        Place: {
            /** @description Goes on from here as the parameter `cursor`; null at the end. */
            next_cursor: string | null;
            /**
             * Format: int64
             * @description From 1; null when a cursor was given.
             */
            page: number | null;
            /**
             * Format: int64
             * @description Rows on a page.
             */
            page_size: number;
            /**
             * Format: int64
             * @description Rows of the whole list.
             */
            total: number;
            /**
             * Format: int64
             * @description Pages of the whole list.
             */
            total_pages: number;
        };
        /** @description A provider. */
        Provider: {
            /** @description Absolute URL without a trailing slash. */
            api_base: string;
            /**
             * @description How the provider's key is stored: `encrypted`, `plain`, `empty`, or `undecryptable` when none of the
             *     present encryption keys opens it. The key itself is never shown.
             */
            api_key_state: string;
            /** Format: date-time */
            created_at: string;
            /** Format: int32 */
            id: number;
            is_enabled: boolean;
            /**
             * @description Model names, wildcards (`gpt-*`) or regexes, and what each is called at the provider. Replaced whole.
             * @example {
             *       "gpt-4o": "gpt-4o-2024-11-20",
             *       "claude-*": {
             *         "mapped_model": "claude-*",
             *         "max_tokens": 8192
             *       }
             *     }
             */
            model_mapping: {
                [key: string]: string | {
                    cache_read_cost_per_1k_tokens?: number;
                    cache_write_cost_per_1k_tokens?: number;
                    input_cost_per_1k_tokens?: number;
                    mapped_model: string;
                    max_input_tokens?: number;
                    max_output_tokens?: number;
                    max_tokens?: number;
                    mode?: string;
                    output_cost_per_1k_tokens?: number;
                    reasoning_cost_per_1k_tokens?: number;
                    supports_computer_use?: boolean;
                    supports_function_calling?: boolean;
                    supports_pdf_input?: boolean;
                    supports_reasoning?: boolean;
                    supports_response_schema?: boolean;
                    supports_streaming?: boolean;
                    supports_vision?: boolean;
                };
            };
            /** @description The operator's name for it. */
            provider_key: string;
            /** @description Options of this provider. Replaced whole. */
            provider_params: {
                anthropic_beta_allowlist?: string[];
                /** @enum {string} */
                anthropic_beta_policy?: "drop" | "allowlist" | "passthrough";
                api_version?: string;
                /** @description Extra request headers. Secret values read as `***`; `***` written back keeps the value. */
                headers?: {
                    [key: string]: string;
                };
                /** @default true */
                inject_usage?: boolean;
                max_concurrency?: number | null;
                /** @enum {string} */
                max_tokens_field?: "max_completion_tokens" | "max_tokens";
                /** @enum {string} */
                thinking_style?: "auto" | "adaptive" | "budget" | "off";
                timeouts?: {
                    connect_secs?: number;
                    request_secs?: number;
                    stream_idle_secs?: number;
                    stream_total_secs?: number;
                    ttft_secs?: number;
                };
            };
            /** @enum {string} */
            provider_type: "openai" | "azure" | "anthropic" | "response_api" | "custom";
            /** Format: date-time */
            updated_at: string;
            /**
             * Format: int32
             * @description Share of the traffic; 0 drains.
             */
            weight: number;
        };
        /** @description A change of a provider; what is absent stays as it is. At most 1048576 bytes. */
        ProviderChange: {
            /** @description Absolute http(s) URL without user name, query and fragment. */
            api_base?: string;
            /** @description The key to present to the provider; may be empty for `custom` only. */
            api_key?: string;
            is_enabled?: boolean;
            /**
             * @description Model names, wildcards (`gpt-*`) or regexes, and what each is called at the provider. Replaced whole.
             * @example {
             *       "gpt-4o": "gpt-4o-2024-11-20",
             *       "claude-*": {
             *         "mapped_model": "claude-*",
             *         "max_tokens": 8192
             *       }
             *     }
             */
            model_mapping?: {
                [key: string]: string | {
                    cache_read_cost_per_1k_tokens?: number;
                    cache_write_cost_per_1k_tokens?: number;
                    input_cost_per_1k_tokens?: number;
                    mapped_model: string;
                    max_input_tokens?: number;
                    max_output_tokens?: number;
                    max_tokens?: number;
                    mode?: string;
                    output_cost_per_1k_tokens?: number;
                    reasoning_cost_per_1k_tokens?: number;
                    supports_computer_use?: boolean;
                    supports_function_calling?: boolean;
                    supports_pdf_input?: boolean;
                    supports_reasoning?: boolean;
                    supports_response_schema?: boolean;
                    supports_streaming?: boolean;
                    supports_vision?: boolean;
                };
            };
            /** @description The operator's name for it; cannot be changed later. */
            provider_key?: string;
            /** @description Options of this provider. Replaced whole. */
            provider_params?: {
                anthropic_beta_allowlist?: string[];
                /** @enum {string} */
                anthropic_beta_policy?: "drop" | "allowlist" | "passthrough";
                api_version?: string;
                /** @description Extra request headers. Secret values read as `***`; `***` written back keeps the value. */
                headers?: {
                    [key: string]: string;
                };
                /** @default true */
                inject_usage?: boolean;
                max_concurrency?: number | null;
                /** @enum {string} */
                max_tokens_field?: "max_completion_tokens" | "max_tokens";
                /** @enum {string} */
                thinking_style?: "auto" | "adaptive" | "budget" | "off";
                timeouts?: {
                    connect_secs?: number;
                    request_secs?: number;
                    stream_idle_secs?: number;
                    stream_total_secs?: number;
                    ttft_secs?: number;
                };
            };
            /** @enum {string} */
            provider_type?: "openai" | "azure" | "anthropic" | "response_api" | "custom";
            /** @description Share of the traffic; 0 drains. */
            weight?: number;
        };
        /** @description What a check of one provider found. */
        ProviderCheck: {
            /**
             * Format: int64
             * @description Of the models that answered.
             */
            avg_response_time_ms?: number | null;
            /** Format: date-time */
            checked_at: string;
            models: components["schemas"]["ModelCheck"][];
            /** Format: int32 */
            provider_id: number;
            provider_key: string;
            provider_type: string;
            /** @enum {string} */
            status: "healthy" | "unhealthy" | "disabled" | "unknown";
            summary: components["schemas"]["CheckSummary"];
        };
        /** @description What a check of several providers found. */
        ProviderChecks: {
            healthy_providers: number;
            providers: components["schemas"]["ProviderCheck"][];
            total_providers: number;
            unhealthy_providers: number;
        };
        /** @description What this replica knows of a provider. */
        ProviderHealth: {
            /** @enum {string} */
            admission: "closed" | "open" | "half_open" | "cooldown";
            /**
             * Format: double
             * @description The weight after breaker and slow start; 0 while the circuit is open, in a cooldown, or when it cannot be used.
             */
            effective_weight: number;
            /**
             * Format: double
             * @description Moving average of the time from the start of an attempt to the head of its answer; each new one counts an eighth.
             */
            ewma_latency_ms: number | null;
            /**
             * Format: double
             * @description The same to the first content token, of streams.
             */
            ewma_ttft_ms: number | null;
            /** Format: int32 */
            id: number;
            /**
             * Format: int32
             * @description Attempts under way, streams to their end.
             */
            in_flight: number;
            is_enabled: boolean;
            last_error: components["schemas"]["LastError"] | null;
            /** Format: date-time */
            last_success_at: string | null;
            /**
             * Format: int32
             * @description As many as each replica may have; null is unlimited.
             */
            max_concurrency: number | null;
            provider_key: string;
            provider_type: string;
            /**
             * Format: date-time
             * @description When a cooldown or an open circuit ends.
             */
            retry_at: string | null;
            /**
             * Format: int32
             * @description The configured weight.
             */
            weight: number;
        };
        /** @description Providers by id. */
        ProviderList: components["schemas"]["Paging"] & {
            providers: components["schemas"]["Provider"][];
            /**
             * Format: int64
             * @description The version of the configuration that was read.
             */
            version: number;
        };
        /** @description Redis, as last met. */
        RedisHealth: {
            configured: boolean;
            /** @description Why it did not answer the last time that it did not; stays when it is up again. */
            last_error: string | null;
            /** @enum {string} */
            status: "up" | "down" | "disabled";
        };
        /** @description One process of llm-proxy. */
        Replica: {
            id: string;
            /** Format: date-time */
            seen_at: string;
            /**
             * Format: int64
             * @description The version of the configuration in force there.
             */
            version: number;
        };
        /** @description A finished request with its headers and bodies. */
        RequestLogDetail: components["schemas"]["RequestLogItem"] & {
            /** @description The client's body. */
            request_body: string | null;
            /** @description The client's headers as JSON, keys and cookies masked. */
            request_headers: string | null;
            /** @description The body it got. */
            response_body: string | null;
        };
        /** @description A finished request. */
        RequestLogItem: {
            /**
             * Format: int32
             * @description How many attempts were made.
             */
            attempts: number;
            /**
             * Format: int64
             * @description Prompt tokens written to the provider's cache.
             */
            cache_write_tokens: number | null;
            /**
             * Format: int64
             * @description Prompt tokens read from the provider's cache.
             */
            cached_tokens: number | null;
            /** @description The client program. */
            client: string;
            /** @description The protocol the client spoke. */
            client_protocol: string;
            /**
             * Format: int64
             * @description The version of the configuration it was served with.
             */
            config_version: number;
            /**
             * Format: int64
             * @description What it cost, in micro-dollars; null where the model has no prices.
             */
            cost_microusd: number | null;
            /** @description Whose key it was. */
            credential_name: string;
            /** @description Fields that the provider's protocol has no place for. */
            dropped_fields: string | null;
            /** @description The path without query. */
            endpoint: string;
            /** @description What kind of failure it was. */
            error_category: string | null;
            /** @description The same in words. */
            error_message: string | null;
            /** @description Whether the counts are ours because the provider reported none. */
            estimated: boolean;
            /**
             * Format: int64
             * @description Spent in llm-proxy itself, in microseconds.
             */
            gateway_us: number | null;
            /**
             * Format: int64
             * @description Grows with every row.
             */
            id: number;
            /**
             * Format: int64
             * @description Prompt tokens.
             */
            input_tokens: number | null;
            /** @description Whether the client asked for a stream. */
            is_streaming: boolean;
            /** @description The model sent upstream. */
            model_mapped: string | null;
            /** @description The model the client named. */
            model_requested: string | null;
            /** @description `complete`, `failed` or `cancelled`. */
            outcome: string;
            /**
             * Format: int64
             * @description Answer tokens.
             */
            output_tokens: number | null;
            /** @description The key of the provider of the last attempt. */
            provider_name: string | null;
            /** @description The protocol the provider spoke. */
            provider_protocol: string | null;
            /** @description Its type. */
            provider_type: string | null;
            /**
             * Format: int64
             * @description Answer tokens spent on reasoning.
             */
            reasoning_tokens: number | null;
            /** @description Which replica served it. */
            replica_id: string;
            /** @description Our id of the request. */
            request_id: string;
            /**
             * Format: int32
             * @description The HTTP status the client got; 499 when it left.
             */
            status_code: number;
            /**
             * Format: date-time
             * @description When the request was accepted, or an attempt failed.
             */
            timestamp: string;
            /**
             * Format: int64
             * @description From the request's begin to its end, in milliseconds.
             */
            total_duration_ms: number;
            /**
             * Format: int64
             * @description Both.
             */
            total_tokens: number | null;
            /**
             * Format: int64
             * @description To the first byte of the answer, in milliseconds.
             */
            ttft_ms: number | null;
            /** @description The provider's id of the request. */
            upstream_request_id: string | null;
        };
        /** @description A page of the request logs. */
        RequestLogPage: components["schemas"]["Place"] & {
            /** @description Rows without headers and bodies. */
            items: components["schemas"]["RequestLogItem"][];
        };
        /** @description Where to go back to. At most 1048576 bytes. */
        RollbackWish: {
            /**
             * @description Only tell what would change.
             * @default false
             */
            dry_run?: boolean;
            /** @description 0 is the empty configuration of a new database. */
            version: number;
        };
        /** @description A credential whose key was replaced. */
        RotatedCredential: {
            credential: components["schemas"]["Credential"];
            /** @description For people. */
            message: string;
            /** @description The new key, shown only here. */
            new_key: string;
            /**
             * Format: date-time
             * @description Until when the old key still works.
             */
            previous_key_valid_until: string | null;
            /**
             * Format: int64
             * @description The version of the configuration that has the new key.
             */
            version: number;
        };
        /** @description How to replace a key. At most 1048576 bytes. */
        Rotation: {
            /**
             * @description How long the old key still works, in seconds.
             * @default 0
             */
            grace_secs?: number;
            /** @description Visible ASCII; generated when absent. */
            key?: string;
        };
        /** @description A provider as such a request finds it. */
        RoutingCandidate: {
            /** @enum {string} */
            admission: "closed" | "open" | "half_open" | "cooldown";
            /**
             * Format: double
             * @description The weight after breaker and slow start; 0 while the circuit is open, in a cooldown, or when it cannot be used.
             */
            effective_weight: number;
            /** @description Whether it may be chosen. When all are shut, the best one is. */
            eligible: boolean;
            /** @enum {string|null} */
            excluded_because: "disabled" | "undecryptable_key" | "invalid_config" | "no_mapping" | "unsupported_operation" | "drained" | "saturated" | "breaker_open" | "cooldown" | "half_open_busy" | null;
            /**
             * Format: int32
             * @description Attempts that this replica has running there, streams to their end.
             */
            in_flight: number;
            /** @description The provider's name for the model. */
            mapped_model: string | null;
            /** @description The mapping key that matches. */
            mapping_key: string | null;
            /** @enum {string|null} */
            match: "exact" | "wildcard" | "regex" | null;
            /**
             * Format: int32
             * @description As many as each replica may have; null is unlimited.
             */
            max_concurrency: number | null;
            /**
             * Format: double
             * @description Its share of such requests on this replica, from 0 to 1.
             */
            probability: number;
            /** Format: int32 */
            provider_id: number;
            provider_key: string;
            provider_type: string;
            /**
             * Format: date-time
             * @description When a cooldown or an open circuit ends.
             */
            retry_at: string | null;
            /** @description Whether the body is forwarded without translation. */
            same_protocol: boolean;
            /**
             * Format: int32
             * @description The configured weight.
             */
            weight: number;
        };
        /** @description What a credential may do. */
        RoutingCredential: {
            /** @description Whether it may use the model. */
            allowed: boolean;
            /**
             * Format: int32
             * @description Bucket size; null is `rate_limit`.
             */
            burst: number | null;
            /** Format: int32 */
            id: number;
            name: string;
            /**
             * Format: int32
             * @description Requests per second; null is unlimited.
             */
            rate_limit: number | null;
            /**
             * Format: int32
             * @description Whole tokens left in its bucket on this replica; null is unlimited.
             */
            remaining: number | null;
        };
        /** @description What would become of a request. */
        RoutingExplanation: {
            /** @description All providers by id. They are told as if the credential might use the model. */
            candidates: components["schemas"]["RoutingCandidate"][];
            credential: components["schemas"]["RoutingCredential"] | null;
            /** @description The name that was asked about. */
            model: string;
            /** @enum {string} */
            outcome: "ok" | "model_not_allowed" | "model_not_found" | "no_provider_available" | "unsupported_operation";
            /** @description The name that is looked up: without the configured prefix. */
            resolved_model: string;
            /**
             * Format: int64
             * @description The version of the configuration in force.
             */
            version: number;
        };
        /** @description A request that is not sent. At most 1048576 bytes. */
        RoutingQuestion: {
            credential_id?: number | null;
            /** @description As a client would give it. */
            model: string;
            /**
             * @description `completions` and `embeddings` exist for `openai` only, `count_tokens` for `anthropic` only.
             * @default generate
             * @enum {string}
             */
            operation?: "generate" | "completions" | "embeddings" | "count_tokens";
            /**
             * @description The client's protocol.
             * @enum {string}
             */
            protocol: "openai" | "anthropic" | "response_api";
        };
        /** @description A part of a stored row that cannot be used. */
        RowError: {
            /** @description `provider` or `credential`. */
            entity: string;
            /** @description Which field, as a path. */
            field: string;
            /** Format: int32 */
            id: number;
            /** @description For people. */
            message: string;
        };
        /** @description The configuration in force. */
        SnapshotHealth: {
            /** @description What of the stored rows cannot be used. */
            config_errors: components["schemas"]["RowError"][];
            /**
             * Format: date-time
             * @description When this replica read it; null while there is none.
             */
            loaded_at: string | null;
            /** @enum {string|null} */
            source: "database" | "snapshot_file" | null;
            /** Format: int64 */
            version: number;
        };
        /** @description Switches a row on or off. At most 1048576 bytes. */
        StatusChange: {
            is_enabled: boolean;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    validate_admin_key: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The key is right, or none was sent */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["KeyValidity"];
                };
            };
            /** @description The key is wrong */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["KeyValidity"];
                };
            };
        };
    };
    list_config_changes: {
        parameters: {
            query?: {
                /** @description Only changes after this version, the earliest first; without it the last ones are shown */
                since?: number;
                /** @description Changes to show; a version that this would cut is shown whole */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Changes, oldest first */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ConfigChanges"];
                };
            };
            /** @description A field, parameter or header is wrong: `validation_error` */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The admin key is missing or wrong: `unauthorized` */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description A fault of llm-proxy: `internal_error` */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The database, or what was asked, is not available: `database_unavailable` */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
        };
    };
    follow_config: {
        parameters: {
            query?: {
                /** @description The last version that the client knows; without it only new changes are told */
                since?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The websocket is open */
            101: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description A field, parameter or header is wrong: `validation_error` */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The admin key is missing or wrong: `unauthorized` */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description A page of another origin asks that is not in CORS_ORIGINS: `unauthorized` */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The request is no websocket's: `upgrade_required` */
            426: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The database, or what was asked, is not available: `database_unavailable` */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
        };
    };
    reload_config: {
        parameters: {
            query?: never;
            header?: {
                /** @description Who asks, for the history; not verified */
                "X-Admin-Actor"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description What was read is in force */
            200: {
                headers: {
                    /** @description The version of the configuration in force after this call */
                    "x-config-version"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ConfigStatus"];
                };
            };
            /** @description A field, parameter or header is wrong: `validation_error` */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The admin key is missing or wrong: `unauthorized` */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description A fault of llm-proxy: `internal_error` */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The database, or what was asked, is not available: `database_unavailable` */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
        };
    };
    rollback_config: {
        parameters: {
            query?: never;
            header?: {
                /** @description Who asks, for the history; not verified */
                "X-Admin-Actor"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RollbackWish"];
            };
        };
        responses: {
            /** @description What changed, or would change */
            200: {
                headers: {
                    /** @description The version of the configuration in force after this call */
                    "x-config-version"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ConfigRollback"];
                };
            };
            /** @description A field, parameter or header is wrong: `validation_error` */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The admin key is missing or wrong: `unauthorized` */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description There is no such row or version: `not_found` */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The body came too slowly: `request_timeout` */
            408: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description Another row has this key, or the history has a gap: `conflict` */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The body is too large: `validation_error` */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The body is compressed: `validation_error` */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description A fault of llm-proxy: `internal_error` */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The database, or what was asked, is not available: `database_unavailable` */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
        };
    };
    get_config_version: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The version here and on other replicas */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ConfigVersion"];
                };
            };
            /** @description A field, parameter or header is wrong: `validation_error` */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The admin key is missing or wrong: `unauthorized` */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description A fault of llm-proxy: `internal_error` */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
        };
    };
    list_credentials: {
        parameters: {
            query?: {
                /** @description A part of a name, in any case */
                search?: string;
                /** @description Only rows that are on, or off */
                is_enabled?: boolean;
                /** @description The page to show; all rows without it */
                page?: number;
                /** @description Rows on a page */
                page_size?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description All of them, or a page */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CredentialList"];
                };
            };
            /** @description A field, parameter or header is wrong: `validation_error` */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The admin key is missing or wrong: `unauthorized` */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description A fault of llm-proxy: `internal_error` */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
        };
    };
    create_credential: {
        parameters: {
            query?: never;
            header?: {
                /** @description Who asks, for the history; not verified */
                "X-Admin-Actor"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewCredential"];
            };
        };
        responses: {
            /** @description The new credential */
            201: {
                headers: {
                    /** @description The version of the configuration in force after this call */
                    "x-config-version"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CreatedCredential"];
                };
            };
            /** @description A field, parameter or header is wrong: `validation_error` */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The admin key is missing or wrong: `unauthorized` */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The body came too slowly: `request_timeout` */
            408: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description Another row has this key, or the history has a gap: `conflict` */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The body is too large: `validation_error` */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The body is compressed: `validation_error` */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description A fault of llm-proxy: `internal_error` */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The database, or what was asked, is not available: `database_unavailable` */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
        };
    };
    get_credential: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The credential */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Credential"];
                };
            };
            /** @description A field, parameter or header is wrong: `validation_error` */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The admin key is missing or wrong: `unauthorized` */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description There is no such row or version: `not_found` */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description A fault of llm-proxy: `internal_error` */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
        };
    };
    update_credential: {
        parameters: {
            query?: never;
            header?: {
                /** @description Who asks, for the history; not verified */
                "X-Admin-Actor"?: string;
            };
            path: {
                id: number;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CredentialChange"];
            };
        };
        responses: {
            /** @description The credential after the change */
            200: {
                headers: {
                    /** @description The version of the configuration in force after this call */
                    "x-config-version"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Credential"];
                };
            };
            /** @description A field, parameter or header is wrong: `validation_error` */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The admin key is missing or wrong: `unauthorized` */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description There is no such row or version: `not_found` */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The body came too slowly: `request_timeout` */
            408: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description Another row has this key, or the history has a gap: `conflict` */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The body is too large: `validation_error` */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The body is compressed: `validation_error` */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description A fault of llm-proxy: `internal_error` */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The database, or what was asked, is not available: `database_unavailable` */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
        };
    };
    delete_credential: {
        parameters: {
            query?: never;
            header?: {
                /** @description Who asks, for the history; not verified */
                "X-Admin-Actor"?: string;
            };
            path: {
                id: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It is gone */
            204: {
                headers: {
                    /** @description The version of the configuration in force after this call */
                    "x-config-version"?: number;
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description A field, parameter or header is wrong: `validation_error` */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The admin key is missing or wrong: `unauthorized` */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description There is no such row or version: `not_found` */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description A fault of llm-proxy: `internal_error` */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The database, or what was asked, is not available: `database_unavailable` */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
        };
    };
    rotate_credential: {
        parameters: {
            query?: never;
            header?: {
                /** @description Who asks, for the history; not verified */
                "X-Admin-Actor"?: string;
            };
            path: {
                id: number;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Rotation"];
            };
        };
        responses: {
            /** @description The new key, shown only here */
            200: {
                headers: {
                    /** @description The version of the configuration in force after this call */
                    "x-config-version"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RotatedCredential"];
                };
            };
            /** @description A field, parameter or header is wrong: `validation_error` */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The admin key is missing or wrong: `unauthorized` */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description There is no such row or version: `not_found` */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The body came too slowly: `request_timeout` */
            408: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description Another row has this key, or the history has a gap: `conflict` */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The body is too large: `validation_error` */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The body is compressed: `validation_error` */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description A fault of llm-proxy: `internal_error` */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The database, or what was asked, is not available: `database_unavailable` */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
        };
    };
    set_credential_status: {
        parameters: {
            query?: never;
            header?: {
                /** @description Who asks, for the history; not verified */
                "X-Admin-Actor"?: string;
            };
            path: {
                id: number;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["StatusChange"];
            };
        };
        responses: {
            /** @description The credential after the change */
            200: {
                headers: {
                    /** @description The version of the configuration in force after this call */
                    "x-config-version"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Credential"];
                };
            };
            /** @description A field, parameter or header is wrong: `validation_error` */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The admin key is missing or wrong: `unauthorized` */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description There is no such row or version: `not_found` */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The body came too slowly: `request_timeout` */
            408: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description Another row has this key, or the history has a gap: `conflict` */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The body is too large: `validation_error` */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The body is compressed: `validation_error` */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description A fault of llm-proxy: `internal_error` */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The database, or what was asked, is not available: `database_unavailable` */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
        };
    };
    list_error_logs: {
        parameters: {
            query?: {
                /** @description Our id of the request */
                request_id?: string;
                /** @description The key of the provider */
                provider_name?: string;
                /** @description What kind of failure it was, such as provider_5xx */
                error_category?: string;
                /** @description Whose key it was */
                credential_name?: string;
                /** @description From here on */
                start_time?: string;
                /** @description Before this */
                end_time?: string;
                /** @description The column to sort by; rows without a value come last, equal ones in the order of their ids */
                sort_by?: "timestamp" | "attempt" | "response_status_code" | "total_duration_ms";
                /** @description The largest or the smallest first */
                sort_order?: "desc" | "asc";
                /** @description The page to show */
                page?: number;
                /** @description Rows on a page */
                page_size?: number;
                /** @description The next_cursor of the answer before, to go on from there with the same filters and order; instead of page, and as fast at the end of a long list as at its beginning */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page without headers and bodies */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorLogPage"];
                };
            };
            /** @description A field, parameter or header is wrong: `validation_error` */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The admin key is missing or wrong: `unauthorized` */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description A fault of llm-proxy: `internal_error` */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The database, or what was asked, is not available: `database_unavailable` */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
        };
    };
    delete_error_logs: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["LogIds"];
            };
        };
        responses: {
            /** @description How many there were of them */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DeletedLogs"];
                };
            };
            /** @description A field, parameter or header is wrong: `validation_error` */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The admin key is missing or wrong: `unauthorized` */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The body came too slowly: `request_timeout` */
            408: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The body is too large: `validation_error` */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The body is compressed: `validation_error` */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description A fault of llm-proxy: `internal_error` */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The database, or what was asked, is not available: `database_unavailable` */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
        };
    };
    export_error_logs: {
        parameters: {
            query?: {
                /** @description Our id of the request */
                request_id?: string;
                /** @description The key of the provider */
                provider_name?: string;
                /** @description What kind of failure it was, such as provider_5xx */
                error_category?: string;
                /** @description Whose key it was */
                credential_name?: string;
                /** @description From here on */
                start_time?: string;
                /** @description Before this */
                end_time?: string;
                /** @description The column to sort by; rows without a value come last, equal ones in the order of their ids */
                sort_by?: "timestamp" | "attempt" | "response_status_code" | "total_duration_ms";
                /** @description The largest or the smallest first */
                sort_order?: "desc" | "asc";
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description CSV (RFC 4180) with the names of the columns */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/csv": string;
                };
            };
            /** @description A field, parameter or header is wrong: `validation_error` */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The admin key is missing or wrong: `unauthorized` */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description A fault of llm-proxy: `internal_error` */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The database, or what was asked, is not available: `database_unavailable` */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
        };
    };
    get_error_log: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description All columns */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorLogDetail"];
                };
            };
            /** @description The admin key is missing or wrong: `unauthorized` */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description There is no such row or version: `not_found` */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description A fault of llm-proxy: `internal_error` */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The database, or what was asked, is not available: `database_unavailable` */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
        };
    };
    delete_error_log: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It is gone */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description A field, parameter or header is wrong: `validation_error` */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The admin key is missing or wrong: `unauthorized` */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description There is no such row or version: `not_found` */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description A fault of llm-proxy: `internal_error` */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The database, or what was asked, is not available: `database_unavailable` */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
        };
    };
    explain: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RoutingQuestion"];
            };
        };
        responses: {
            /** @description Every provider, and why */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RoutingExplanation"];
                };
            };
            /** @description A field, parameter or header is wrong: `validation_error` */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The admin key is missing or wrong: `unauthorized` */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description There is no such row or version: `not_found` */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The body came too slowly: `request_timeout` */
            408: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The body is too large: `validation_error` */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The body is compressed: `validation_error` */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description A fault of llm-proxy: `internal_error` */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
        };
    };
    check_providers: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ChecksWish"];
            };
        };
        responses: {
            /** @description What each provider did */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProviderChecks"];
                };
            };
            /** @description A field, parameter or header is wrong: `validation_error` */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The admin key is missing or wrong: `unauthorized` */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description There is no such row or version: `not_found` */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The body came too slowly: `request_timeout` */
            408: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The body is too large: `validation_error` */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The body is compressed: `validation_error` */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description A fault of llm-proxy: `internal_error` */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The database, or what was asked, is not available: `database_unavailable` */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
        };
    };
    get_provider_check: {
        parameters: {
            query?: {
                /** @description Names, with commas between */
                models?: string;
                /** @description Patience with each, from 1 to 120; 30 by default */
                timeout_secs?: number;
            };
            header?: never;
            path: {
                id: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description What each model did */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProviderCheck"];
                };
            };
            /** @description A field, parameter or header is wrong: `validation_error` */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The admin key is missing or wrong: `unauthorized` */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description There is no such row or version: `not_found` */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description A fault of llm-proxy: `internal_error` */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The database, or what was asked, is not available: `database_unavailable` */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
        };
    };
    list_request_logs: {
        parameters: {
            query?: {
                /** @description Our id of the request */
                request_id?: string;
                /** @description The key of the provider of the last attempt */
                provider_name?: string;
                /** @description The model that the client named; its first 255 characters count */
                model?: string;
                /** @description Whose key it was */
                credential_name?: string;
                /** @description The client program */
                client?: string;
                /** @description The HTTP status that the client got */
                status_code?: number;
                /** @description How the request ended */
                outcome?: "complete" | "failed" | "cancelled";
                /** @description Whether the client asked for a stream */
                is_streaming?: boolean;
                /** @description Whether the tokens are estimated */
                estimated?: boolean;
                /** @description Only requests whose outcome is failed */
                error_only?: boolean;
                /** @description From here on */
                start_time?: string;
                /** @description Before this */
                end_time?: string;
                /** @description The column to sort by; rows without a value come last, equal ones in the order of their ids */
                sort_by?: "timestamp" | "status_code" | "total_duration_ms" | "ttft_ms" | "input_tokens" | "output_tokens" | "total_tokens";
                /** @description The largest or the smallest first */
                sort_order?: "desc" | "asc";
                /** @description The page to show */
                page?: number;
                /** @description Rows on a page */
                page_size?: number;
                /** @description The next_cursor of the answer before, to go on from there with the same filters and order; instead of page, and as fast at the end of a long list as at its beginning */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page without headers and bodies */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RequestLogPage"];
                };
            };
            /** @description A field, parameter or header is wrong: `validation_error` */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The admin key is missing or wrong: `unauthorized` */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description A fault of llm-proxy: `internal_error` */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The database, or what was asked, is not available: `database_unavailable` */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
        };
    };
    delete_request_logs: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["LogIds"];
            };
        };
        responses: {
            /** @description How many there were of them */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DeletedLogs"];
                };
            };
            /** @description A field, parameter or header is wrong: `validation_error` */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The admin key is missing or wrong: `unauthorized` */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The body came too slowly: `request_timeout` */
            408: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The body is too large: `validation_error` */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The body is compressed: `validation_error` */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description A fault of llm-proxy: `internal_error` */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The database, or what was asked, is not available: `database_unavailable` */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
        };
    };
    export_request_logs: {
        parameters: {
            query?: {
                /** @description Our id of the request */
                request_id?: string;
                /** @description The key of the provider of the last attempt */
                provider_name?: string;
                /** @description The model that the client named; its first 255 characters count */
                model?: string;
                /** @description Whose key it was */
                credential_name?: string;
                /** @description The client program */
                client?: string;
                /** @description The HTTP status that the client got */
                status_code?: number;
                /** @description How the request ended */
                outcome?: "complete" | "failed" | "cancelled";
                /** @description Whether the client asked for a stream */
                is_streaming?: boolean;
                /** @description Whether the tokens are estimated */
                estimated?: boolean;
                /** @description Only requests whose outcome is failed */
                error_only?: boolean;
                /** @description From here on */
                start_time?: string;
                /** @description Before this */
                end_time?: string;
                /** @description The column to sort by; rows without a value come last, equal ones in the order of their ids */
                sort_by?: "timestamp" | "status_code" | "total_duration_ms" | "ttft_ms" | "input_tokens" | "output_tokens" | "total_tokens";
                /** @description The largest or the smallest first */
                sort_order?: "desc" | "asc";
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description CSV (RFC 4180) with the names of the columns */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/csv": string;
                };
            };
            /** @description A field, parameter or header is wrong: `validation_error` */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The admin key is missing or wrong: `unauthorized` */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description A fault of llm-proxy: `internal_error` */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The database, or what was asked, is not available: `database_unavailable` */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
        };
    };
    get_log_stats: {
        parameters: {
            query?: {
                /** @description Our id of the request */
                request_id?: string;
                /** @description The key of the provider of the last attempt */
                provider_name?: string;
                /** @description The model that the client named; its first 255 characters count */
                model?: string;
                /** @description Whose key it was */
                credential_name?: string;
                /** @description The client program */
                client?: string;
                /** @description The HTTP status that the client got */
                status_code?: number;
                /** @description How the request ended */
                outcome?: "complete" | "failed" | "cancelled";
                /** @description Whether the client asked for a stream */
                is_streaming?: boolean;
                /** @description Whether the tokens are estimated */
                estimated?: boolean;
                /** @description Only requests whose outcome is failed */
                error_only?: boolean;
                /** @description From here on */
                start_time?: string;
                /** @description Before this */
                end_time?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Sums over all rows that the filters mean */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["LogStats"];
                };
            };
            /** @description A field, parameter or header is wrong: `validation_error` */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The admin key is missing or wrong: `unauthorized` */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description A fault of llm-proxy: `internal_error` */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The database, or what was asked, is not available: `database_unavailable` */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
        };
    };
    get_request_log: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description All columns */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RequestLogDetail"];
                };
            };
            /** @description The admin key is missing or wrong: `unauthorized` */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description There is no such row or version: `not_found` */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description A fault of llm-proxy: `internal_error` */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The database, or what was asked, is not available: `database_unavailable` */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
        };
    };
    delete_request_log: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It is gone */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description A field, parameter or header is wrong: `validation_error` */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The admin key is missing or wrong: `unauthorized` */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description There is no such row or version: `not_found` */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description A fault of llm-proxy: `internal_error` */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The database, or what was asked, is not available: `database_unavailable` */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
        };
    };
    get_metrics_summary: {
        parameters: {
            query?: {
                /** @description From here on; an hour before the end by default */
                start_time?: string;
                /** @description Before this; now by default */
                end_time?: string;
                /** @description The length of a bucket; by default the least that makes about 120 or fewer */
                bucket_secs?: 10 | 60 | 300 | 3600 | 86400;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Figures of all replicas */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["MetricsSummary"];
                };
            };
            /** @description A field, parameter or header is wrong: `validation_error` */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The admin key is missing or wrong: `unauthorized` */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description A fault of llm-proxy: `internal_error` */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The database, or what was asked, is not available: `database_unavailable` */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
        };
    };
    get_openapi: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description An OpenAPI 3.1 document */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": unknown;
                };
            };
        };
    };
    list_providers: {
        parameters: {
            query?: {
                /** @description A part of a name, in any case */
                search?: string;
                /** @description Only rows that are on, or off */
                is_enabled?: boolean;
                /** @description The page to show; all rows without it */
                page?: number;
                /** @description Rows on a page */
                page_size?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description All of them, or a page */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProviderList"];
                };
            };
            /** @description A field, parameter or header is wrong: `validation_error` */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The admin key is missing or wrong: `unauthorized` */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description A fault of llm-proxy: `internal_error` */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
        };
    };
    create_provider: {
        parameters: {
            query?: never;
            header?: {
                /** @description Who asks, for the history; not verified */
                "X-Admin-Actor"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewProvider"];
            };
        };
        responses: {
            /** @description The new provider */
            201: {
                headers: {
                    /** @description The version of the configuration in force after this call */
                    "x-config-version"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Provider"];
                };
            };
            /** @description A field, parameter or header is wrong: `validation_error` */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The admin key is missing or wrong: `unauthorized` */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The body came too slowly: `request_timeout` */
            408: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description Another row has this key, or the history has a gap: `conflict` */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The body is too large: `validation_error` */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The body is compressed: `validation_error` */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description A fault of llm-proxy: `internal_error` */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The database, or what was asked, is not available: `database_unavailable` */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
        };
    };
    get_provider: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The provider */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Provider"];
                };
            };
            /** @description A field, parameter or header is wrong: `validation_error` */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The admin key is missing or wrong: `unauthorized` */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description There is no such row or version: `not_found` */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description A fault of llm-proxy: `internal_error` */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
        };
    };
    update_provider: {
        parameters: {
            query?: never;
            header?: {
                /** @description Who asks, for the history; not verified */
                "X-Admin-Actor"?: string;
            };
            path: {
                id: number;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ProviderChange"];
            };
        };
        responses: {
            /** @description The provider after the change */
            200: {
                headers: {
                    /** @description The version of the configuration in force after this call */
                    "x-config-version"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Provider"];
                };
            };
            /** @description A field, parameter or header is wrong: `validation_error` */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The admin key is missing or wrong: `unauthorized` */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description There is no such row or version: `not_found` */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The body came too slowly: `request_timeout` */
            408: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description Another row has this key, or the history has a gap: `conflict` */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The body is too large: `validation_error` */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The body is compressed: `validation_error` */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description A fault of llm-proxy: `internal_error` */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The database, or what was asked, is not available: `database_unavailable` */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
        };
    };
    delete_provider: {
        parameters: {
            query?: never;
            header?: {
                /** @description Who asks, for the history; not verified */
                "X-Admin-Actor"?: string;
            };
            path: {
                id: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It is gone */
            204: {
                headers: {
                    /** @description The version of the configuration in force after this call */
                    "x-config-version"?: number;
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description A field, parameter or header is wrong: `validation_error` */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The admin key is missing or wrong: `unauthorized` */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description There is no such row or version: `not_found` */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description A fault of llm-proxy: `internal_error` */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The database, or what was asked, is not available: `database_unavailable` */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
        };
    };
    check_provider: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: number;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CheckWish"];
            };
        };
        responses: {
            /** @description What each model did */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProviderCheck"];
                };
            };
            /** @description A field, parameter or header is wrong: `validation_error` */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The admin key is missing or wrong: `unauthorized` */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description There is no such row or version: `not_found` */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The body came too slowly: `request_timeout` */
            408: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The body is too large: `validation_error` */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The body is compressed: `validation_error` */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description A fault of llm-proxy: `internal_error` */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The database, or what was asked, is not available: `database_unavailable` */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
        };
    };
    set_provider_status: {
        parameters: {
            query?: never;
            header?: {
                /** @description Who asks, for the history; not verified */
                "X-Admin-Actor"?: string;
            };
            path: {
                id: number;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["StatusChange"];
            };
        };
        responses: {
            /** @description The provider after the change */
            200: {
                headers: {
                    /** @description The version of the configuration in force after this call */
                    "x-config-version"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Provider"];
                };
            };
            /** @description A field, parameter or header is wrong: `validation_error` */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The admin key is missing or wrong: `unauthorized` */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description There is no such row or version: `not_found` */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The body came too slowly: `request_timeout` */
            408: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description Another row has this key, or the history has a gap: `conflict` */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The body is too large: `validation_error` */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The body is compressed: `validation_error` */
            415: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description A fault of llm-proxy: `internal_error` */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The database, or what was asked, is not available: `database_unavailable` */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
        };
    };
    get_detailed_health: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Of this replica; also when it is degraded */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DetailedHealth"];
                };
            };
            /** @description The admin key is missing or wrong: `unauthorized` */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
            /** @description The database, or what was asked, is not available: `database_unavailable` */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminError"];
                };
            };
        };
    };
}
