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
    cached_tokens BIGINT NOT NULL,
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
    cached_tokens BIGINT NOT NULL,
    cost_microusd BIGINT NOT NULL,
    priced BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    ttft_ms BIGINT NOT NULL,
    ttft_requests BIGINT NOT NULL,
    PRIMARY KEY (start, provider_name, model_requested, credential_name, client, status_code, outcome, is_streaming, estimated)
);

-- How many requests took how long. Dimension 0 is all requests (name '', one start per hour), 1 the provider, 2 the
-- model, 3 the credential (one start per day); metric 0 is total_duration_ms, 1 ttft_ms. Bins are milliseconds up to
-- 31; from there on every power of two has 16.
CREATE TABLE log_histograms (
    dimension SMALLINT NOT NULL,
    start TIMESTAMPTZ NOT NULL,
    name TEXT NOT NULL,
    metric SMALLINT NOT NULL,
    bin SMALLINT NOT NULL,
    requests BIGINT NOT NULL,
    PRIMARY KEY (dimension, start, name, metric, bin)
);

-- Argument: 1 for rows that were added, -1 for rows that went. Rollups are always written in the order of their keys,
-- so that two transactions of one statement each cannot wait for each other.
CREATE FUNCTION log_rollups() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    sign BIGINT := TG_ARGV[0]::bigint;
BEGIN
    INSERT INTO log_hours AS kept (start, provider_name, model_requested, credential_name, client, status_code, outcome, is_streaming, estimated, requests, input_tokens, output_tokens, total_tokens, cached_tokens, cost_microusd, priced, duration_ms, ttft_ms, ttft_requests)
    SELECT date_trunc('hour', timestamp, 'UTC'), COALESCE(provider_name, ''), COALESCE(substr(model_requested, 1, 255), ''), credential_name, client, status_code, outcome, is_streaming, estimated,
        sign * SUM(1),
        sign * SUM(COALESCE(input_tokens, 0)),
        sign * SUM(COALESCE(output_tokens, 0)),
        sign * SUM(COALESCE(total_tokens, 0)),
        sign * SUM(COALESCE(cached_tokens, 0)),
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
        cached_tokens = kept.cached_tokens + excluded.cached_tokens,
        cost_microusd = kept.cost_microusd + excluded.cost_microusd,
        priced = kept.priced + excluded.priced,
        duration_ms = kept.duration_ms + excluded.duration_ms,
        ttft_ms = kept.ttft_ms + excluded.ttft_ms,
        ttft_requests = kept.ttft_requests + excluded.ttft_requests;

    INSERT INTO log_days AS kept (start, provider_name, model_requested, credential_name, client, status_code, outcome, is_streaming, estimated, requests, input_tokens, output_tokens, total_tokens, cached_tokens, cost_microusd, priced, duration_ms, ttft_ms, ttft_requests)
    SELECT date_trunc('day', timestamp, 'UTC'), COALESCE(provider_name, ''), COALESCE(substr(model_requested, 1, 255), ''), credential_name, client, status_code, outcome, is_streaming, estimated,
        sign * SUM(1),
        sign * SUM(COALESCE(input_tokens, 0)),
        sign * SUM(COALESCE(output_tokens, 0)),
        sign * SUM(COALESCE(total_tokens, 0)),
        sign * SUM(COALESCE(cached_tokens, 0)),
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
        cached_tokens = kept.cached_tokens + excluded.cached_tokens,
        cost_microusd = kept.cost_microusd + excluded.cost_microusd,
        priced = kept.priced + excluded.priced,
        duration_ms = kept.duration_ms + excluded.duration_ms,
        ttft_ms = kept.ttft_ms + excluded.ttft_ms,
        ttft_requests = kept.ttft_requests + excluded.ttft_requests;

    INSERT INTO log_histograms AS kept (dimension, start, name, metric, bin, requests)
    SELECT dimension, start, name, metric,
        CASE WHEN value < 0 THEN 0 WHEN value < 32 THEN value
            WHEN value < 64 THEN 32 + (value - 32) / 2
            WHEN value < 128 THEN 48 + (value - 64) / 4
            WHEN value < 256 THEN 64 + (value - 128) / 8
            WHEN value < 512 THEN 80 + (value - 256) / 16
            WHEN value < 1024 THEN 96 + (value - 512) / 32
            WHEN value < 2048 THEN 112 + (value - 1024) / 64
            WHEN value < 4096 THEN 128 + (value - 2048) / 128
            WHEN value < 8192 THEN 144 + (value - 4096) / 256
            WHEN value < 16384 THEN 160 + (value - 8192) / 512
            WHEN value < 32768 THEN 176 + (value - 16384) / 1024
            WHEN value < 65536 THEN 192 + (value - 32768) / 2048
            WHEN value < 131072 THEN 208 + (value - 65536) / 4096
            WHEN value < 262144 THEN 224 + (value - 131072) / 8192
            WHEN value < 524288 THEN 240 + (value - 262144) / 16384
            WHEN value < 1048576 THEN 256 + (value - 524288) / 32768
            WHEN value < 2097152 THEN 272 + (value - 1048576) / 65536
            WHEN value < 4194304 THEN 288 + (value - 2097152) / 131072
            WHEN value < 8388608 THEN 304 + (value - 4194304) / 262144
            WHEN value < 16777216 THEN 320 + (value - 8388608) / 524288
            WHEN value < 33554432 THEN 336 + (value - 16777216) / 1048576 ELSE 352 END,
        sign * COUNT(*)
    FROM changed_rows
    CROSS JOIN LATERAL (VALUES (0, total_duration_ms), (1, ttft_ms)) AS durations (metric, value)
    CROSS JOIN LATERAL (VALUES
        (0, date_trunc('hour', timestamp, 'UTC'), ''),
        (1, date_trunc('day', timestamp, 'UTC'), COALESCE(provider_name, '')),
        (2, date_trunc('day', timestamp, 'UTC'), COALESCE(substr(model_requested, 1, 255), '')),
        (3, date_trunc('day', timestamp, 'UTC'), credential_name)
    ) AS names (dimension, start, name)
    WHERE value IS NOT NULL
    GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (dimension, start, name, metric, bin) DO UPDATE SET requests = kept.requests + excluded.requests;

    IF sign < 0 THEN
        DELETE FROM log_hours AS kept USING (
            SELECT DISTINCT date_trunc('hour', timestamp, 'UTC') AS start FROM changed_rows
        ) AS changed WHERE kept.start = changed.start AND kept.requests = 0;
        DELETE FROM log_days AS kept USING (
            SELECT DISTINCT date_trunc('day', timestamp, 'UTC') AS start FROM changed_rows
        ) AS changed WHERE kept.start = changed.start AND kept.requests = 0;
        DELETE FROM log_histograms AS kept USING (
            SELECT DISTINCT date_trunc('hour', timestamp, 'UTC') AS start FROM changed_rows
        ) AS changed WHERE kept.dimension = 0 AND kept.start = changed.start AND kept.requests = 0;
        DELETE FROM log_histograms AS kept USING (
            SELECT DISTINCT date_trunc('day', timestamp, 'UTC') AS start FROM changed_rows
        ) AS changed WHERE kept.dimension IN (1, 2, 3) AND kept.start = changed.start AND kept.requests = 0;
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION log_rollups_empty() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    TRUNCATE log_hours, log_days, log_histograms;
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
INSERT INTO log_hours AS kept (start, provider_name, model_requested, credential_name, client, status_code, outcome, is_streaming, estimated, requests, input_tokens, output_tokens, total_tokens, cached_tokens, cost_microusd, priced, duration_ms, ttft_ms, ttft_requests)
SELECT date_trunc('hour', timestamp, 'UTC'), COALESCE(provider_name, ''), COALESCE(substr(model_requested, 1, 255), ''), credential_name, client, status_code, outcome, is_streaming, estimated,
    SUM(1),
    SUM(COALESCE(input_tokens, 0)),
    SUM(COALESCE(output_tokens, 0)),
    SUM(COALESCE(total_tokens, 0)),
    SUM(COALESCE(cached_tokens, 0)),
    SUM(COALESCE(cost_microusd, 0)),
    SUM(CASE WHEN cost_microusd IS NULL THEN 0 ELSE 1 END),
    SUM(total_duration_ms),
    SUM(COALESCE(ttft_ms, 0)),
    SUM(CASE WHEN ttft_ms IS NULL THEN 0 ELSE 1 END)
FROM request_logs GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9 ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9
ON CONFLICT (start, provider_name, model_requested, credential_name, client, status_code, outcome, is_streaming, estimated) DO UPDATE SET
    requests = kept.requests + excluded.requests,
    input_tokens = kept.input_tokens + excluded.input_tokens,
    output_tokens = kept.output_tokens + excluded.output_tokens,
    total_tokens = kept.total_tokens + excluded.total_tokens,
    cached_tokens = kept.cached_tokens + excluded.cached_tokens,
    cost_microusd = kept.cost_microusd + excluded.cost_microusd,
    priced = kept.priced + excluded.priced,
    duration_ms = kept.duration_ms + excluded.duration_ms,
    ttft_ms = kept.ttft_ms + excluded.ttft_ms,
    ttft_requests = kept.ttft_requests + excluded.ttft_requests;

INSERT INTO log_days AS kept (start, provider_name, model_requested, credential_name, client, status_code, outcome, is_streaming, estimated, requests, input_tokens, output_tokens, total_tokens, cached_tokens, cost_microusd, priced, duration_ms, ttft_ms, ttft_requests)
SELECT date_trunc('day', timestamp, 'UTC'), COALESCE(provider_name, ''), COALESCE(substr(model_requested, 1, 255), ''), credential_name, client, status_code, outcome, is_streaming, estimated,
    SUM(1),
    SUM(COALESCE(input_tokens, 0)),
    SUM(COALESCE(output_tokens, 0)),
    SUM(COALESCE(total_tokens, 0)),
    SUM(COALESCE(cached_tokens, 0)),
    SUM(COALESCE(cost_microusd, 0)),
    SUM(CASE WHEN cost_microusd IS NULL THEN 0 ELSE 1 END),
    SUM(total_duration_ms),
    SUM(COALESCE(ttft_ms, 0)),
    SUM(CASE WHEN ttft_ms IS NULL THEN 0 ELSE 1 END)
FROM request_logs GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9 ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9
ON CONFLICT (start, provider_name, model_requested, credential_name, client, status_code, outcome, is_streaming, estimated) DO UPDATE SET
    requests = kept.requests + excluded.requests,
    input_tokens = kept.input_tokens + excluded.input_tokens,
    output_tokens = kept.output_tokens + excluded.output_tokens,
    total_tokens = kept.total_tokens + excluded.total_tokens,
    cached_tokens = kept.cached_tokens + excluded.cached_tokens,
    cost_microusd = kept.cost_microusd + excluded.cost_microusd,
    priced = kept.priced + excluded.priced,
    duration_ms = kept.duration_ms + excluded.duration_ms,
    ttft_ms = kept.ttft_ms + excluded.ttft_ms,
    ttft_requests = kept.ttft_requests + excluded.ttft_requests;

INSERT INTO log_histograms AS kept (dimension, start, name, metric, bin, requests)
SELECT dimension, start, name, metric,
    CASE WHEN value < 0 THEN 0 WHEN value < 32 THEN value
        WHEN value < 64 THEN 32 + (value - 32) / 2
        WHEN value < 128 THEN 48 + (value - 64) / 4
        WHEN value < 256 THEN 64 + (value - 128) / 8
        WHEN value < 512 THEN 80 + (value - 256) / 16
        WHEN value < 1024 THEN 96 + (value - 512) / 32
        WHEN value < 2048 THEN 112 + (value - 1024) / 64
        WHEN value < 4096 THEN 128 + (value - 2048) / 128
        WHEN value < 8192 THEN 144 + (value - 4096) / 256
        WHEN value < 16384 THEN 160 + (value - 8192) / 512
        WHEN value < 32768 THEN 176 + (value - 16384) / 1024
        WHEN value < 65536 THEN 192 + (value - 32768) / 2048
        WHEN value < 131072 THEN 208 + (value - 65536) / 4096
        WHEN value < 262144 THEN 224 + (value - 131072) / 8192
        WHEN value < 524288 THEN 240 + (value - 262144) / 16384
        WHEN value < 1048576 THEN 256 + (value - 524288) / 32768
        WHEN value < 2097152 THEN 272 + (value - 1048576) / 65536
        WHEN value < 4194304 THEN 288 + (value - 2097152) / 131072
        WHEN value < 8388608 THEN 304 + (value - 4194304) / 262144
        WHEN value < 16777216 THEN 320 + (value - 8388608) / 524288
        WHEN value < 33554432 THEN 336 + (value - 16777216) / 1048576 ELSE 352 END,
    COUNT(*)
FROM request_logs
CROSS JOIN LATERAL (VALUES (0, total_duration_ms), (1, ttft_ms)) AS durations (metric, value)
CROSS JOIN LATERAL (VALUES
    (0, date_trunc('hour', timestamp, 'UTC'), ''),
    (1, date_trunc('day', timestamp, 'UTC'), COALESCE(provider_name, '')),
    (2, date_trunc('day', timestamp, 'UTC'), COALESCE(substr(model_requested, 1, 255), '')),
    (3, date_trunc('day', timestamp, 'UTC'), credential_name)
) AS names (dimension, start, name)
WHERE value IS NOT NULL
GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
ON CONFLICT (dimension, start, name, metric, bin) DO UPDATE SET requests = kept.requests + excluded.requests;

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
