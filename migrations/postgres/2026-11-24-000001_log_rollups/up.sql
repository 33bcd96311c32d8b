-- Sums over request_logs, so that counts need not read every row. Triggers keep them, so that rows written and deleted
-- with plain SQL count too. Where a row has no provider or model, the name is ''; of a long
-- model name the first 255 characters count, which fit into an index.
CREATE TABLE log_hours (
    start TIMESTAMPTZ NOT NULL,
    provider_name TEXT NOT NULL,
    model_requested TEXT NOT NULL,
    credential_name TEXT NOT NULL,
    client TEXT NOT NULL,
    status_code INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    is_streaming BOOLEAN NOT NULL,
    estimated BOOLEAN NOT NULL,
    requests BIGINT NOT NULL,
    input_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    total_tokens BIGINT NOT NULL,
    cost_microusd BIGINT NOT NULL,
    priced BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    ttft_ms BIGINT NOT NULL,
    ttft_requests BIGINT NOT NULL,
    PRIMARY KEY (start, provider_name, model_requested, credential_name, client, status_code, outcome, is_streaming, estimated)
);

CREATE TABLE log_days (
    start TIMESTAMPTZ NOT NULL,
    provider_name TEXT NOT NULL,
    model_requested TEXT NOT NULL,
    credential_name TEXT NOT NULL,
    client TEXT NOT NULL,
    status_code INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    is_streaming BOOLEAN NOT NULL,
    estimated BOOLEAN NOT NULL,
    requests BIGINT NOT NULL,
    input_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    total_tokens BIGINT NOT NULL,
    cost_microusd BIGINT NOT NULL,
    priced BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    ttft_ms BIGINT NOT NULL,
    ttft_requests BIGINT NOT NULL,
    PRIMARY KEY (start, provider_name, model_requested, credential_name, client, status_code, outcome, is_streaming, estimated)
);

-- The same over everything, by one name each. The unit is the seconds that a sum is about: 300, 3600 or 86400. Dimension 0
-- is all requests (name ''), 1 the provider, 2 the model, 3 the credential, 4 the status; 300 seconds have 0 only.
CREATE TABLE log_sums (
    unit INTEGER NOT NULL,
    dimension SMALLINT NOT NULL,
    start TIMESTAMPTZ NOT NULL,
    name TEXT NOT NULL,
    requests BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    cancelled BIGINT NOT NULL,
    input_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    total_tokens BIGINT NOT NULL,
    cost_microusd BIGINT NOT NULL,
    priced BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    ttft_ms BIGINT NOT NULL,
    ttft_requests BIGINT NOT NULL,
    PRIMARY KEY (unit, dimension, start, name)
);

-- How many of them took how long. Metric 0 is total_duration_ms, 1 ttft_ms. Bins are milliseconds up to 15; from there on
-- every power of two has 8.
CREATE TABLE log_histograms (
    unit INTEGER NOT NULL,
    dimension SMALLINT NOT NULL,
    start TIMESTAMPTZ NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    metric SMALLINT NOT NULL,
    bin SMALLINT NOT NULL,
    requests BIGINT NOT NULL,
    PRIMARY KEY (unit, dimension, start, name, metric, bin)
);

-- Argument: 1 for rows that were added, -1 for rows that went. Rollups are always written in the order of their keys,
-- so that two transactions of one statement each cannot wait for each other.
CREATE FUNCTION log_rollups() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    sign BIGINT := TG_ARGV[0]::bigint;
BEGIN
    INSERT INTO log_hours AS kept (start, provider_name, model_requested, credential_name, client, status_code, outcome, is_streaming, estimated, requests, input_tokens, output_tokens, total_tokens, cost_microusd, priced, duration_ms, ttft_ms, ttft_requests)
    SELECT date_trunc('hour', timestamp, 'UTC'), COALESCE(provider_name, ''), COALESCE(substr(model_requested, 1, 255), ''), credential_name, client, status_code, outcome, is_streaming, estimated,
        sign * SUM(1),
        sign * SUM(COALESCE(input_tokens, 0)),
        sign * SUM(COALESCE(output_tokens, 0)),
        sign * SUM(COALESCE(total_tokens, 0)),
        sign * SUM(COALESCE(cost_microusd, 0)),
        sign * SUM(CASE WHEN cost_microusd IS NULL THEN 0 ELSE 1 END),
        sign * SUM(total_duration_ms),
        sign * SUM(COALESCE(ttft_ms, 0)),
        sign * SUM(CASE WHEN ttft_ms IS NULL THEN 0 ELSE 1 END)
    FROM changed_rows GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9 ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9
    ON CONFLICT (start, provider_name, model_requested, credential_name, client, status_code, outcome, is_streaming, estimated) DO UPDATE SET
        requests = kept.requests + excluded.requests,
        input_tokens = kept.input_tokens + excluded.input_tokens,
        output_tokens = kept.output_tokens + excluded.output_tokens,
        total_tokens = kept.total_tokens + excluded.total_tokens,
        cost_microusd = kept.cost_microusd + excluded.cost_microusd,
        priced = kept.priced + excluded.priced,
        duration_ms = kept.duration_ms + excluded.duration_ms,
        ttft_ms = kept.ttft_ms + excluded.ttft_ms,
        ttft_requests = kept.ttft_requests + excluded.ttft_requests;

    INSERT INTO log_days AS kept (start, provider_name, model_requested, credential_name, client, status_code, outcome, is_streaming, estimated, requests, input_tokens, output_tokens, total_tokens, cost_microusd, priced, duration_ms, ttft_ms, ttft_requests)
    SELECT date_trunc('day', timestamp, 'UTC'), COALESCE(provider_name, ''), COALESCE(substr(model_requested, 1, 255), ''), credential_name, client, status_code, outcome, is_streaming, estimated,
        sign * SUM(1),
        sign * SUM(COALESCE(input_tokens, 0)),
        sign * SUM(COALESCE(output_tokens, 0)),
        sign * SUM(COALESCE(total_tokens, 0)),
        sign * SUM(COALESCE(cost_microusd, 0)),
        sign * SUM(CASE WHEN cost_microusd IS NULL THEN 0 ELSE 1 END),
        sign * SUM(total_duration_ms),
        sign * SUM(COALESCE(ttft_ms, 0)),
        sign * SUM(CASE WHEN ttft_ms IS NULL THEN 0 ELSE 1 END)
    FROM changed_rows GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9 ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9
    ON CONFLICT (start, provider_name, model_requested, credential_name, client, status_code, outcome, is_streaming, estimated) DO UPDATE SET
        requests = kept.requests + excluded.requests,
        input_tokens = kept.input_tokens + excluded.input_tokens,
        output_tokens = kept.output_tokens + excluded.output_tokens,
        total_tokens = kept.total_tokens + excluded.total_tokens,
        cost_microusd = kept.cost_microusd + excluded.cost_microusd,
        priced = kept.priced + excluded.priced,
        duration_ms = kept.duration_ms + excluded.duration_ms,
        ttft_ms = kept.ttft_ms + excluded.ttft_ms,
        ttft_requests = kept.ttft_requests + excluded.ttft_requests;

    INSERT INTO log_sums AS kept (unit, dimension, start, name, requests, failed, cancelled, input_tokens, output_tokens, total_tokens, cost_microusd, priced, duration_ms, ttft_ms, ttft_requests)
    SELECT unit, dimension, start, name,
        sign * SUM(1),
        sign * SUM(CASE WHEN outcome = 'failed' THEN 1 ELSE 0 END),
        sign * SUM(CASE WHEN outcome = 'cancelled' THEN 1 ELSE 0 END),
        sign * SUM(COALESCE(input_tokens, 0)),
        sign * SUM(COALESCE(output_tokens, 0)),
        sign * SUM(COALESCE(total_tokens, 0)),
        sign * SUM(COALESCE(cost_microusd, 0)),
        sign * SUM(CASE WHEN cost_microusd IS NULL THEN 0 ELSE 1 END),
        sign * SUM(total_duration_ms),
        sign * SUM(COALESCE(ttft_ms, 0)),
        sign * SUM(CASE WHEN ttft_ms IS NULL THEN 0 ELSE 1 END)
    FROM changed_rows
    CROSS JOIN LATERAL (VALUES (
        date_trunc('hour', timestamp, 'UTC'),
        date_trunc('day', timestamp, 'UTC'),
        date_trunc('hour', timestamp, 'UTC') + date_part('minute', timestamp AT TIME ZONE 'UTC')::integer / 5 * INTERVAL '5 minutes'
    )) AS starts (hour, day, five_minutes)
    CROSS JOIN LATERAL (VALUES
        (300, 0, five_minutes, ''),
        (3600, 0, hour, ''),
        (3600, 1, hour, COALESCE(provider_name, '')),
        (3600, 2, hour, COALESCE(substr(model_requested, 1, 255), '')),
        (3600, 3, hour, credential_name),
        (3600, 4, hour, status_code::text),
        (86400, 0, day, ''),
        (86400, 1, day, COALESCE(provider_name, '')),
        (86400, 2, day, COALESCE(substr(model_requested, 1, 255), '')),
        (86400, 3, day, credential_name),
        (86400, 4, day, status_code::text)
    ) AS names (unit, dimension, start, name)
    GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
    ON CONFLICT (unit, dimension, start, name) DO UPDATE SET
        requests = kept.requests + excluded.requests,
        failed = kept.failed + excluded.failed,
        cancelled = kept.cancelled + excluded.cancelled,
        input_tokens = kept.input_tokens + excluded.input_tokens,
        output_tokens = kept.output_tokens + excluded.output_tokens,
        total_tokens = kept.total_tokens + excluded.total_tokens,
        cost_microusd = kept.cost_microusd + excluded.cost_microusd,
        priced = kept.priced + excluded.priced,
        duration_ms = kept.duration_ms + excluded.duration_ms,
        ttft_ms = kept.ttft_ms + excluded.ttft_ms,
        ttft_requests = kept.ttft_requests + excluded.ttft_requests;

    INSERT INTO log_histograms AS kept (unit, dimension, start, name, metric, bin, requests)
    WITH durations AS MATERIALIZED (
        SELECT provider_name, model_requested, credential_name, hour, day, five_minutes, metric,
            CASE WHEN value < 0 THEN 0 WHEN value < 16 THEN value
                WHEN value < 32 THEN 16 + (value - 16) / 2
                WHEN value < 64 THEN 24 + (value - 32) / 4
                WHEN value < 128 THEN 32 + (value - 64) / 8
                WHEN value < 256 THEN 40 + (value - 128) / 16
                WHEN value < 512 THEN 48 + (value - 256) / 32
                WHEN value < 1024 THEN 56 + (value - 512) / 64
                WHEN value < 2048 THEN 64 + (value - 1024) / 128
                WHEN value < 4096 THEN 72 + (value - 2048) / 256
                WHEN value < 8192 THEN 80 + (value - 4096) / 512
                WHEN value < 16384 THEN 88 + (value - 8192) / 1024
                WHEN value < 32768 THEN 96 + (value - 16384) / 2048
                WHEN value < 65536 THEN 104 + (value - 32768) / 4096
                WHEN value < 131072 THEN 112 + (value - 65536) / 8192
                WHEN value < 262144 THEN 120 + (value - 131072) / 16384
                WHEN value < 524288 THEN 128 + (value - 262144) / 32768
                WHEN value < 1048576 THEN 136 + (value - 524288) / 65536
                WHEN value < 2097152 THEN 144 + (value - 1048576) / 131072
                WHEN value < 4194304 THEN 152 + (value - 2097152) / 262144
                WHEN value < 8388608 THEN 160 + (value - 4194304) / 524288
                WHEN value < 16777216 THEN 168 + (value - 8388608) / 1048576
                WHEN value < 33554432 THEN 176 + (value - 16777216) / 2097152 ELSE 184 END AS bin
        FROM changed_rows
        CROSS JOIN LATERAL (VALUES (0, total_duration_ms), (1, ttft_ms)) AS times (metric, value)
        CROSS JOIN LATERAL (VALUES (
            date_trunc('hour', timestamp, 'UTC'),
            date_trunc('day', timestamp, 'UTC'),
            date_trunc('hour', timestamp, 'UTC') + date_part('minute', timestamp AT TIME ZONE 'UTC')::integer / 5 * INTERVAL '5 minutes'
        )) AS starts (hour, day, five_minutes)
        WHERE value IS NOT NULL
    )
    SELECT unit, dimension, start, name COLLATE "C", metric, bin, sign * COUNT(*)
    FROM durations
    CROSS JOIN LATERAL (VALUES
        (300, 0, five_minutes, ''),
        (3600, 0, hour, ''),
        (3600, 1, hour, COALESCE(provider_name, '')),
        (3600, 2, hour, COALESCE(substr(model_requested, 1, 255), '')),
        (3600, 3, hour, credential_name),
        (86400, 0, day, ''),
        (86400, 1, day, COALESCE(provider_name, '')),
        (86400, 2, day, COALESCE(substr(model_requested, 1, 255), '')),
        (86400, 3, day, credential_name)
    ) AS names (unit, dimension, start, name)
    GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6
    ON CONFLICT (unit, dimension, start, name, metric, bin) DO UPDATE SET requests = kept.requests + excluded.requests;

    IF sign < 0 THEN
        DELETE FROM log_hours AS kept USING (
            SELECT DISTINCT date_trunc('hour', timestamp, 'UTC') AS start FROM changed_rows
        ) AS changed WHERE kept.start = changed.start AND kept.requests = 0;
        DELETE FROM log_days AS kept USING (
            SELECT DISTINCT date_trunc('day', timestamp, 'UTC') AS start FROM changed_rows
        ) AS changed WHERE kept.start = changed.start AND kept.requests = 0;
        DELETE FROM log_sums AS kept USING (
            SELECT DISTINCT date_trunc('hour', timestamp, 'UTC') + date_part('minute', timestamp AT TIME ZONE 'UTC')::integer / 5 * INTERVAL '5 minutes' AS start FROM changed_rows
        ) AS changed WHERE kept.unit = 300 AND kept.dimension = 0 AND kept.start = changed.start AND kept.requests = 0;
        DELETE FROM log_sums AS kept USING (
            SELECT DISTINCT date_trunc('hour', timestamp, 'UTC') AS start FROM changed_rows
        ) AS changed WHERE kept.unit = 3600 AND kept.dimension IN (0, 1, 2, 3, 4) AND kept.start = changed.start AND kept.requests = 0;
        DELETE FROM log_sums AS kept USING (
            SELECT DISTINCT date_trunc('day', timestamp, 'UTC') AS start FROM changed_rows
        ) AS changed WHERE kept.unit = 86400 AND kept.dimension IN (0, 1, 2, 3, 4) AND kept.start = changed.start AND kept.requests = 0;
        DELETE FROM log_histograms AS kept USING (
            SELECT DISTINCT date_trunc('hour', timestamp, 'UTC') + date_part('minute', timestamp AT TIME ZONE 'UTC')::integer / 5 * INTERVAL '5 minutes' AS start FROM changed_rows
        ) AS changed WHERE kept.unit = 300 AND kept.dimension = 0 AND kept.start = changed.start AND kept.requests = 0;
        DELETE FROM log_histograms AS kept USING (
            SELECT DISTINCT date_trunc('hour', timestamp, 'UTC') AS start FROM changed_rows
        ) AS changed WHERE kept.unit = 3600 AND kept.dimension IN (0, 1, 2, 3, 4) AND kept.start = changed.start AND kept.requests = 0;
        DELETE FROM log_histograms AS kept USING (
            SELECT DISTINCT date_trunc('day', timestamp, 'UTC') AS start FROM changed_rows
        ) AS changed WHERE kept.unit = 86400 AND kept.dimension IN (0, 1, 2, 3, 4) AND kept.start = changed.start AND kept.requests = 0;
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION log_rollups_empty() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    TRUNCATE log_hours, log_days, log_sums, log_histograms;
    RETURN NULL;
END
$$;

CREATE TRIGGER request_logs_inserted AFTER INSERT ON request_logs REFERENCING NEW TABLE AS changed_rows
FOR EACH STATEMENT EXECUTE FUNCTION log_rollups('1');

CREATE TRIGGER request_logs_before_update AFTER UPDATE ON request_logs REFERENCING OLD TABLE AS changed_rows
FOR EACH STATEMENT EXECUTE FUNCTION log_rollups('-1');

CREATE TRIGGER request_logs_updated AFTER UPDATE ON request_logs REFERENCING NEW TABLE AS changed_rows
FOR EACH STATEMENT EXECUTE FUNCTION log_rollups('1');

CREATE TRIGGER request_logs_deleted AFTER DELETE ON request_logs REFERENCING OLD TABLE AS changed_rows
FOR EACH STATEMENT EXECUTE FUNCTION log_rollups('-1');

CREATE TRIGGER request_logs_truncated AFTER TRUNCATE ON request_logs
FOR EACH STATEMENT EXECUTE FUNCTION log_rollups_empty();

-- Rows from before. Creating the triggers has locked out writers until all this is committed.
INSERT INTO log_hours AS kept (start, provider_name, model_requested, credential_name, client, status_code, outcome, is_streaming, estimated, requests, input_tokens, output_tokens, total_tokens, cost_microusd, priced, duration_ms, ttft_ms, ttft_requests)
SELECT date_trunc('hour', timestamp, 'UTC'), COALESCE(provider_name, ''), COALESCE(substr(model_requested, 1, 255), ''), credential_name, client, status_code, outcome, is_streaming, estimated,
    SUM(1),
    SUM(COALESCE(input_tokens, 0)),
    SUM(COALESCE(output_tokens, 0)),
    SUM(COALESCE(total_tokens, 0)),
    SUM(COALESCE(cost_microusd, 0)),
    SUM(CASE WHEN cost_microusd IS NULL THEN 0 ELSE 1 END),
    SUM(total_duration_ms),
    SUM(COALESCE(ttft_ms, 0)),
    SUM(CASE WHEN ttft_ms IS NULL THEN 0 ELSE 1 END)
FROM request_logs GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9 ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9;

INSERT INTO log_days AS kept (start, provider_name, model_requested, credential_name, client, status_code, outcome, is_streaming, estimated, requests, input_tokens, output_tokens, total_tokens, cost_microusd, priced, duration_ms, ttft_ms, ttft_requests)
SELECT date_trunc('day', timestamp, 'UTC'), COALESCE(provider_name, ''), COALESCE(substr(model_requested, 1, 255), ''), credential_name, client, status_code, outcome, is_streaming, estimated,
    SUM(1),
    SUM(COALESCE(input_tokens, 0)),
    SUM(COALESCE(output_tokens, 0)),
    SUM(COALESCE(total_tokens, 0)),
    SUM(COALESCE(cost_microusd, 0)),
    SUM(CASE WHEN cost_microusd IS NULL THEN 0 ELSE 1 END),
    SUM(total_duration_ms),
    SUM(COALESCE(ttft_ms, 0)),
    SUM(CASE WHEN ttft_ms IS NULL THEN 0 ELSE 1 END)
FROM request_logs GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9 ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9;

INSERT INTO log_sums AS kept (unit, dimension, start, name, requests, failed, cancelled, input_tokens, output_tokens, total_tokens, cost_microusd, priced, duration_ms, ttft_ms, ttft_requests)
SELECT unit, dimension, start, name,
    SUM(1),
    SUM(CASE WHEN outcome = 'failed' THEN 1 ELSE 0 END),
    SUM(CASE WHEN outcome = 'cancelled' THEN 1 ELSE 0 END),
    SUM(COALESCE(input_tokens, 0)),
    SUM(COALESCE(output_tokens, 0)),
    SUM(COALESCE(total_tokens, 0)),
    SUM(COALESCE(cost_microusd, 0)),
    SUM(CASE WHEN cost_microusd IS NULL THEN 0 ELSE 1 END),
    SUM(total_duration_ms),
    SUM(COALESCE(ttft_ms, 0)),
    SUM(CASE WHEN ttft_ms IS NULL THEN 0 ELSE 1 END)
FROM request_logs
CROSS JOIN LATERAL (VALUES (
    date_trunc('hour', timestamp, 'UTC'),
    date_trunc('day', timestamp, 'UTC'),
    date_trunc('hour', timestamp, 'UTC') + date_part('minute', timestamp AT TIME ZONE 'UTC')::integer / 5 * INTERVAL '5 minutes'
)) AS starts (hour, day, five_minutes)
CROSS JOIN LATERAL (VALUES
    (300, 0, five_minutes, ''),
    (3600, 0, hour, ''),
    (3600, 1, hour, COALESCE(provider_name, '')),
    (3600, 2, hour, COALESCE(substr(model_requested, 1, 255), '')),
    (3600, 3, hour, credential_name),
    (3600, 4, hour, status_code::text),
    (86400, 0, day, ''),
    (86400, 1, day, COALESCE(provider_name, '')),
    (86400, 2, day, COALESCE(substr(model_requested, 1, 255), '')),
    (86400, 3, day, credential_name),
    (86400, 4, day, status_code::text)
) AS names (unit, dimension, start, name)
GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4;

INSERT INTO log_histograms AS kept (unit, dimension, start, name, metric, bin, requests)
WITH durations AS MATERIALIZED (
    SELECT provider_name, model_requested, credential_name, hour, day, five_minutes, metric,
        CASE WHEN value < 0 THEN 0 WHEN value < 16 THEN value
            WHEN value < 32 THEN 16 + (value - 16) / 2
            WHEN value < 64 THEN 24 + (value - 32) / 4
            WHEN value < 128 THEN 32 + (value - 64) / 8
            WHEN value < 256 THEN 40 + (value - 128) / 16
            WHEN value < 512 THEN 48 + (value - 256) / 32
            WHEN value < 1024 THEN 56 + (value - 512) / 64
            WHEN value < 2048 THEN 64 + (value - 1024) / 128
            WHEN value < 4096 THEN 72 + (value - 2048) / 256
            WHEN value < 8192 THEN 80 + (value - 4096) / 512
            WHEN value < 16384 THEN 88 + (value - 8192) / 1024
            WHEN value < 32768 THEN 96 + (value - 16384) / 2048
            WHEN value < 65536 THEN 104 + (value - 32768) / 4096
            WHEN value < 131072 THEN 112 + (value - 65536) / 8192
            WHEN value < 262144 THEN 120 + (value - 131072) / 16384
            WHEN value < 524288 THEN 128 + (value - 262144) / 32768
            WHEN value < 1048576 THEN 136 + (value - 524288) / 65536
            WHEN value < 2097152 THEN 144 + (value - 1048576) / 131072
            WHEN value < 4194304 THEN 152 + (value - 2097152) / 262144
            WHEN value < 8388608 THEN 160 + (value - 4194304) / 524288
            WHEN value < 16777216 THEN 168 + (value - 8388608) / 1048576
            WHEN value < 33554432 THEN 176 + (value - 16777216) / 2097152 ELSE 184 END AS bin
    FROM request_logs
    CROSS JOIN LATERAL (VALUES (0, total_duration_ms), (1, ttft_ms)) AS times (metric, value)
    CROSS JOIN LATERAL (VALUES (
        date_trunc('hour', timestamp, 'UTC'),
        date_trunc('day', timestamp, 'UTC'),
        date_trunc('hour', timestamp, 'UTC') + date_part('minute', timestamp AT TIME ZONE 'UTC')::integer / 5 * INTERVAL '5 minutes'
    )) AS starts (hour, day, five_minutes)
    WHERE value IS NOT NULL
)
SELECT unit, dimension, start, name COLLATE "C", metric, bin, COUNT(*)
FROM durations
CROSS JOIN LATERAL (VALUES
    (300, 0, five_minutes, ''),
    (3600, 0, hour, ''),
    (3600, 1, hour, COALESCE(provider_name, '')),
    (3600, 2, hour, COALESCE(substr(model_requested, 1, 255), '')),
    (3600, 3, hour, credential_name),
    (86400, 0, day, ''),
    (86400, 1, day, COALESCE(provider_name, '')),
    (86400, 2, day, COALESCE(substr(model_requested, 1, 255), '')),
    (86400, 3, day, credential_name)
) AS names (unit, dimension, start, name)
GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6;

-- Newest first, and the same filtered. Nearly all requests are complete with status 200: others are found fast.
CREATE INDEX request_logs_newest ON request_logs (timestamp, id);
DROP INDEX request_logs_timestamp;
CREATE INDEX request_logs_provider ON request_logs (provider_name, timestamp, id);
CREATE INDEX request_logs_model ON request_logs (substr(model_requested, 1, 255), timestamp, id);
CREATE INDEX request_logs_credential ON request_logs (credential_name, timestamp, id);
CREATE INDEX request_logs_status ON request_logs (status_code, timestamp, id) WHERE status_code <> 200;
CREATE INDEX request_logs_outcome ON request_logs (outcome, timestamp, id) WHERE outcome <> 'complete';
CREATE INDEX error_logs_newest ON error_logs (timestamp, id);
DROP INDEX error_logs_timestamp;
