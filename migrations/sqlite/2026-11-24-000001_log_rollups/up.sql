-- Sums over request_logs, so that counts need not read every row. Triggers keep them, so that rows written and deleted
-- with plain SQL count too. Where a row has no provider or model, the name is ''; of a long
-- model name the first 255 characters count, which fit into an index.
CREATE TABLE log_hours (
    start INTEGER NOT NULL,
    provider_name TEXT NOT NULL,
    model_requested TEXT NOT NULL,
    credential_name TEXT NOT NULL,
    client TEXT NOT NULL,
    status_code INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    is_streaming INTEGER NOT NULL,
    estimated INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    total_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    cost_microusd INTEGER NOT NULL,
    priced INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    ttft_ms INTEGER NOT NULL,
    ttft_requests INTEGER NOT NULL,
    PRIMARY KEY (start, provider_name, model_requested, credential_name, client, status_code, outcome, is_streaming, estimated)
) STRICT, WITHOUT ROWID;

CREATE TABLE log_days (
    start INTEGER NOT NULL,
    provider_name TEXT NOT NULL,
    model_requested TEXT NOT NULL,
    credential_name TEXT NOT NULL,
    client TEXT NOT NULL,
    status_code INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    is_streaming INTEGER NOT NULL,
    estimated INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    total_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    cost_microusd INTEGER NOT NULL,
    priced INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    ttft_ms INTEGER NOT NULL,
    ttft_requests INTEGER NOT NULL,
    PRIMARY KEY (start, provider_name, model_requested, credential_name, client, status_code, outcome, is_streaming, estimated)
) STRICT, WITHOUT ROWID;

-- How many requests took how long. Dimension 0 is all requests (name '', one start per hour), 1 the provider, 2 the
-- model, 3 the credential (one start per day); metric 0 is total_duration_ms, 1 ttft_ms. Bins are milliseconds up to
-- 31; from there on every power of two has 16.
CREATE TABLE log_histograms (
    dimension INTEGER NOT NULL,
    start INTEGER NOT NULL,
    name TEXT NOT NULL,
    metric INTEGER NOT NULL,
    bin INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    PRIMARY KEY (dimension, start, name, metric, bin)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER request_logs_after_insert AFTER INSERT ON request_logs
BEGIN
    INSERT INTO log_hours (start, provider_name, model_requested, credential_name, client, status_code, outcome, is_streaming, estimated, requests, input_tokens, output_tokens, total_tokens, cached_tokens, cost_microusd, priced, duration_ms, ttft_ms, ttft_requests)
    VALUES (
        NEW.timestamp - ((NEW.timestamp % 3600000) + 3600000) % 3600000,
        COALESCE(NEW.provider_name, ''),
        COALESCE(substr(NEW.model_requested, 1, 255), ''),
        NEW.credential_name,
        NEW.client,
        NEW.status_code,
        NEW.outcome,
        NEW.is_streaming,
        NEW.estimated,
        1,
        COALESCE(NEW.input_tokens, 0),
        COALESCE(NEW.output_tokens, 0),
        COALESCE(NEW.total_tokens, 0),
        COALESCE(NEW.cached_tokens, 0),
        COALESCE(NEW.cost_microusd, 0),
        CASE WHEN NEW.cost_microusd IS NULL THEN 0 ELSE 1 END,
        NEW.total_duration_ms,
        COALESCE(NEW.ttft_ms, 0),
        CASE WHEN NEW.ttft_ms IS NULL THEN 0 ELSE 1 END
    )
    ON CONFLICT DO UPDATE SET
        requests = requests + excluded.requests,
        input_tokens = input_tokens + excluded.input_tokens,
        output_tokens = output_tokens + excluded.output_tokens,
        total_tokens = total_tokens + excluded.total_tokens,
        cached_tokens = cached_tokens + excluded.cached_tokens,
        cost_microusd = cost_microusd + excluded.cost_microusd,
        priced = priced + excluded.priced,
        duration_ms = duration_ms + excluded.duration_ms,
        ttft_ms = ttft_ms + excluded.ttft_ms,
        ttft_requests = ttft_requests + excluded.ttft_requests;
    INSERT INTO log_days (start, provider_name, model_requested, credential_name, client, status_code, outcome, is_streaming, estimated, requests, input_tokens, output_tokens, total_tokens, cached_tokens, cost_microusd, priced, duration_ms, ttft_ms, ttft_requests)
    VALUES (
        NEW.timestamp - ((NEW.timestamp % 86400000) + 86400000) % 86400000,
        COALESCE(NEW.provider_name, ''),
        COALESCE(substr(NEW.model_requested, 1, 255), ''),
        NEW.credential_name,
        NEW.client,
        NEW.status_code,
        NEW.outcome,
        NEW.is_streaming,
        NEW.estimated,
        1,
        COALESCE(NEW.input_tokens, 0),
        COALESCE(NEW.output_tokens, 0),
        COALESCE(NEW.total_tokens, 0),
        COALESCE(NEW.cached_tokens, 0),
        COALESCE(NEW.cost_microusd, 0),
        CASE WHEN NEW.cost_microusd IS NULL THEN 0 ELSE 1 END,
        NEW.total_duration_ms,
        COALESCE(NEW.ttft_ms, 0),
        CASE WHEN NEW.ttft_ms IS NULL THEN 0 ELSE 1 END
    )
    ON CONFLICT DO UPDATE SET
        requests = requests + excluded.requests,
        input_tokens = input_tokens + excluded.input_tokens,
        output_tokens = output_tokens + excluded.output_tokens,
        total_tokens = total_tokens + excluded.total_tokens,
        cached_tokens = cached_tokens + excluded.cached_tokens,
        cost_microusd = cost_microusd + excluded.cost_microusd,
        priced = priced + excluded.priced,
        duration_ms = duration_ms + excluded.duration_ms,
        ttft_ms = ttft_ms + excluded.ttft_ms,
        ttft_requests = ttft_requests + excluded.ttft_requests;
    INSERT INTO log_histograms (dimension, start, name, metric, bin, requests)
    SELECT dimension, start, name, metric, bin, 1 FROM (
        SELECT 0 AS dimension, NEW.timestamp - ((NEW.timestamp % 3600000) + 3600000) % 3600000 AS start, '' AS name
        UNION ALL SELECT 1, NEW.timestamp - ((NEW.timestamp % 86400000) + 86400000) % 86400000, COALESCE(NEW.provider_name, '')
        UNION ALL SELECT 2, NEW.timestamp - ((NEW.timestamp % 86400000) + 86400000) % 86400000, COALESCE(substr(NEW.model_requested, 1, 255), '')
        UNION ALL SELECT 3, NEW.timestamp - ((NEW.timestamp % 86400000) + 86400000) % 86400000, NEW.credential_name
    ) CROSS JOIN (
        SELECT metric, CASE WHEN value < 0 THEN 0 WHEN value < 32 THEN value
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
            WHEN value < 33554432 THEN 336 + (value - 16777216) / 1048576 ELSE 352 END AS bin
        FROM (SELECT 0 AS metric, NEW.total_duration_ms AS value UNION ALL SELECT 1, NEW.ttft_ms)
        WHERE value IS NOT NULL
    ) WHERE true
    ON CONFLICT DO UPDATE SET requests = requests + 1;
END;

CREATE TRIGGER request_logs_after_delete AFTER DELETE ON request_logs
BEGIN
    UPDATE log_hours SET
        requests = requests - 1,
        input_tokens = input_tokens - COALESCE(OLD.input_tokens, 0),
        output_tokens = output_tokens - COALESCE(OLD.output_tokens, 0),
        total_tokens = total_tokens - COALESCE(OLD.total_tokens, 0),
        cached_tokens = cached_tokens - COALESCE(OLD.cached_tokens, 0),
        cost_microusd = cost_microusd - COALESCE(OLD.cost_microusd, 0),
        priced = priced - CASE WHEN OLD.cost_microusd IS NULL THEN 0 ELSE 1 END,
        duration_ms = duration_ms - OLD.total_duration_ms,
        ttft_ms = ttft_ms - COALESCE(OLD.ttft_ms, 0),
        ttft_requests = ttft_requests - CASE WHEN OLD.ttft_ms IS NULL THEN 0 ELSE 1 END
    WHERE start = OLD.timestamp - ((OLD.timestamp % 3600000) + 3600000) % 3600000
        AND provider_name = COALESCE(OLD.provider_name, '')
        AND model_requested = COALESCE(substr(OLD.model_requested, 1, 255), '')
        AND credential_name = OLD.credential_name
        AND client = OLD.client
        AND status_code = OLD.status_code
        AND outcome = OLD.outcome
        AND is_streaming = OLD.is_streaming
        AND estimated = OLD.estimated;
    DELETE FROM log_hours WHERE start = OLD.timestamp - ((OLD.timestamp % 3600000) + 3600000) % 3600000
        AND provider_name = COALESCE(OLD.provider_name, '')
        AND model_requested = COALESCE(substr(OLD.model_requested, 1, 255), '')
        AND credential_name = OLD.credential_name
        AND client = OLD.client
        AND status_code = OLD.status_code
        AND outcome = OLD.outcome
        AND is_streaming = OLD.is_streaming
        AND estimated = OLD.estimated
        AND requests = 0;
    UPDATE log_days SET
        requests = requests - 1,
        input_tokens = input_tokens - COALESCE(OLD.input_tokens, 0),
        output_tokens = output_tokens - COALESCE(OLD.output_tokens, 0),
        total_tokens = total_tokens - COALESCE(OLD.total_tokens, 0),
        cached_tokens = cached_tokens - COALESCE(OLD.cached_tokens, 0),
        cost_microusd = cost_microusd - COALESCE(OLD.cost_microusd, 0),
        priced = priced - CASE WHEN OLD.cost_microusd IS NULL THEN 0 ELSE 1 END,
        duration_ms = duration_ms - OLD.total_duration_ms,
        ttft_ms = ttft_ms - COALESCE(OLD.ttft_ms, 0),
        ttft_requests = ttft_requests - CASE WHEN OLD.ttft_ms IS NULL THEN 0 ELSE 1 END
    WHERE start = OLD.timestamp - ((OLD.timestamp % 86400000) + 86400000) % 86400000
        AND provider_name = COALESCE(OLD.provider_name, '')
        AND model_requested = COALESCE(substr(OLD.model_requested, 1, 255), '')
        AND credential_name = OLD.credential_name
        AND client = OLD.client
        AND status_code = OLD.status_code
        AND outcome = OLD.outcome
        AND is_streaming = OLD.is_streaming
        AND estimated = OLD.estimated;
    DELETE FROM log_days WHERE start = OLD.timestamp - ((OLD.timestamp % 86400000) + 86400000) % 86400000
        AND provider_name = COALESCE(OLD.provider_name, '')
        AND model_requested = COALESCE(substr(OLD.model_requested, 1, 255), '')
        AND credential_name = OLD.credential_name
        AND client = OLD.client
        AND status_code = OLD.status_code
        AND outcome = OLD.outcome
        AND is_streaming = OLD.is_streaming
        AND estimated = OLD.estimated
        AND requests = 0;
    UPDATE log_histograms SET requests = requests - 1 WHERE (dimension, start, name, metric, bin) IN (
        SELECT dimension, start, name, metric, bin FROM (
        SELECT 0 AS dimension, OLD.timestamp - ((OLD.timestamp % 3600000) + 3600000) % 3600000 AS start, '' AS name
        UNION ALL SELECT 1, OLD.timestamp - ((OLD.timestamp % 86400000) + 86400000) % 86400000, COALESCE(OLD.provider_name, '')
        UNION ALL SELECT 2, OLD.timestamp - ((OLD.timestamp % 86400000) + 86400000) % 86400000, COALESCE(substr(OLD.model_requested, 1, 255), '')
        UNION ALL SELECT 3, OLD.timestamp - ((OLD.timestamp % 86400000) + 86400000) % 86400000, OLD.credential_name
        ) CROSS JOIN (
        SELECT metric, CASE WHEN value < 0 THEN 0 WHEN value < 32 THEN value
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
            WHEN value < 33554432 THEN 336 + (value - 16777216) / 1048576 ELSE 352 END AS bin
        FROM (SELECT 0 AS metric, OLD.total_duration_ms AS value UNION ALL SELECT 1, OLD.ttft_ms)
        WHERE value IS NOT NULL
        )
    );
    DELETE FROM log_histograms WHERE requests = 0 AND (dimension, start, name, metric, bin) IN (
        SELECT dimension, start, name, metric, bin FROM (
        SELECT 0 AS dimension, OLD.timestamp - ((OLD.timestamp % 3600000) + 3600000) % 3600000 AS start, '' AS name
        UNION ALL SELECT 1, OLD.timestamp - ((OLD.timestamp % 86400000) + 86400000) % 86400000, COALESCE(OLD.provider_name, '')
        UNION ALL SELECT 2, OLD.timestamp - ((OLD.timestamp % 86400000) + 86400000) % 86400000, COALESCE(substr(OLD.model_requested, 1, 255), '')
        UNION ALL SELECT 3, OLD.timestamp - ((OLD.timestamp % 86400000) + 86400000) % 86400000, OLD.credential_name
        ) CROSS JOIN (
        SELECT metric, CASE WHEN value < 0 THEN 0 WHEN value < 32 THEN value
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
            WHEN value < 33554432 THEN 336 + (value - 16777216) / 1048576 ELSE 352 END AS bin
        FROM (SELECT 0 AS metric, OLD.total_duration_ms AS value UNION ALL SELECT 1, OLD.ttft_ms)
        WHERE value IS NOT NULL
        )
    );
END;

CREATE TRIGGER request_logs_after_update AFTER UPDATE ON request_logs
BEGIN
    UPDATE log_hours SET
        requests = requests - 1,
        input_tokens = input_tokens - COALESCE(OLD.input_tokens, 0),
        output_tokens = output_tokens - COALESCE(OLD.output_tokens, 0),
        total_tokens = total_tokens - COALESCE(OLD.total_tokens, 0),
        cached_tokens = cached_tokens - COALESCE(OLD.cached_tokens, 0),
        cost_microusd = cost_microusd - COALESCE(OLD.cost_microusd, 0),
        priced = priced - CASE WHEN OLD.cost_microusd IS NULL THEN 0 ELSE 1 END,
        duration_ms = duration_ms - OLD.total_duration_ms,
        ttft_ms = ttft_ms - COALESCE(OLD.ttft_ms, 0),
        ttft_requests = ttft_requests - CASE WHEN OLD.ttft_ms IS NULL THEN 0 ELSE 1 END
    WHERE start = OLD.timestamp - ((OLD.timestamp % 3600000) + 3600000) % 3600000
        AND provider_name = COALESCE(OLD.provider_name, '')
        AND model_requested = COALESCE(substr(OLD.model_requested, 1, 255), '')
        AND credential_name = OLD.credential_name
        AND client = OLD.client
        AND status_code = OLD.status_code
        AND outcome = OLD.outcome
        AND is_streaming = OLD.is_streaming
        AND estimated = OLD.estimated;
    DELETE FROM log_hours WHERE start = OLD.timestamp - ((OLD.timestamp % 3600000) + 3600000) % 3600000
        AND provider_name = COALESCE(OLD.provider_name, '')
        AND model_requested = COALESCE(substr(OLD.model_requested, 1, 255), '')
        AND credential_name = OLD.credential_name
        AND client = OLD.client
        AND status_code = OLD.status_code
        AND outcome = OLD.outcome
        AND is_streaming = OLD.is_streaming
        AND estimated = OLD.estimated
        AND requests = 0;
    UPDATE log_days SET
        requests = requests - 1,
        input_tokens = input_tokens - COALESCE(OLD.input_tokens, 0),
        output_tokens = output_tokens - COALESCE(OLD.output_tokens, 0),
        total_tokens = total_tokens - COALESCE(OLD.total_tokens, 0),
        cached_tokens = cached_tokens - COALESCE(OLD.cached_tokens, 0),
        cost_microusd = cost_microusd - COALESCE(OLD.cost_microusd, 0),
        priced = priced - CASE WHEN OLD.cost_microusd IS NULL THEN 0 ELSE 1 END,
        duration_ms = duration_ms - OLD.total_duration_ms,
        ttft_ms = ttft_ms - COALESCE(OLD.ttft_ms, 0),
        ttft_requests = ttft_requests - CASE WHEN OLD.ttft_ms IS NULL THEN 0 ELSE 1 END
    WHERE start = OLD.timestamp - ((OLD.timestamp % 86400000) + 86400000) % 86400000
        AND provider_name = COALESCE(OLD.provider_name, '')
        AND model_requested = COALESCE(substr(OLD.model_requested, 1, 255), '')
        AND credential_name = OLD.credential_name
        AND client = OLD.client
        AND status_code = OLD.status_code
        AND outcome = OLD.outcome
        AND is_streaming = OLD.is_streaming
        AND estimated = OLD.estimated;
    DELETE FROM log_days WHERE start = OLD.timestamp - ((OLD.timestamp % 86400000) + 86400000) % 86400000
        AND provider_name = COALESCE(OLD.provider_name, '')
        AND model_requested = COALESCE(substr(OLD.model_requested, 1, 255), '')
        AND credential_name = OLD.credential_name
        AND client = OLD.client
        AND status_code = OLD.status_code
        AND outcome = OLD.outcome
        AND is_streaming = OLD.is_streaming
        AND estimated = OLD.estimated
        AND requests = 0;
    UPDATE log_histograms SET requests = requests - 1 WHERE (dimension, start, name, metric, bin) IN (
        SELECT dimension, start, name, metric, bin FROM (
        SELECT 0 AS dimension, OLD.timestamp - ((OLD.timestamp % 3600000) + 3600000) % 3600000 AS start, '' AS name
        UNION ALL SELECT 1, OLD.timestamp - ((OLD.timestamp % 86400000) + 86400000) % 86400000, COALESCE(OLD.provider_name, '')
        UNION ALL SELECT 2, OLD.timestamp - ((OLD.timestamp % 86400000) + 86400000) % 86400000, COALESCE(substr(OLD.model_requested, 1, 255), '')
        UNION ALL SELECT 3, OLD.timestamp - ((OLD.timestamp % 86400000) + 86400000) % 86400000, OLD.credential_name
        ) CROSS JOIN (
        SELECT metric, CASE WHEN value < 0 THEN 0 WHEN value < 32 THEN value
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
            WHEN value < 33554432 THEN 336 + (value - 16777216) / 1048576 ELSE 352 END AS bin
        FROM (SELECT 0 AS metric, OLD.total_duration_ms AS value UNION ALL SELECT 1, OLD.ttft_ms)
        WHERE value IS NOT NULL
        )
    );
    DELETE FROM log_histograms WHERE requests = 0 AND (dimension, start, name, metric, bin) IN (
        SELECT dimension, start, name, metric, bin FROM (
        SELECT 0 AS dimension, OLD.timestamp - ((OLD.timestamp % 3600000) + 3600000) % 3600000 AS start, '' AS name
        UNION ALL SELECT 1, OLD.timestamp - ((OLD.timestamp % 86400000) + 86400000) % 86400000, COALESCE(OLD.provider_name, '')
        UNION ALL SELECT 2, OLD.timestamp - ((OLD.timestamp % 86400000) + 86400000) % 86400000, COALESCE(substr(OLD.model_requested, 1, 255), '')
        UNION ALL SELECT 3, OLD.timestamp - ((OLD.timestamp % 86400000) + 86400000) % 86400000, OLD.credential_name
        ) CROSS JOIN (
        SELECT metric, CASE WHEN value < 0 THEN 0 WHEN value < 32 THEN value
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
            WHEN value < 33554432 THEN 336 + (value - 16777216) / 1048576 ELSE 352 END AS bin
        FROM (SELECT 0 AS metric, OLD.total_duration_ms AS value UNION ALL SELECT 1, OLD.ttft_ms)
        WHERE value IS NOT NULL
        )
    );
    INSERT INTO log_hours (start, provider_name, model_requested, credential_name, client, status_code, outcome, is_streaming, estimated, requests, input_tokens, output_tokens, total_tokens, cached_tokens, cost_microusd, priced, duration_ms, ttft_ms, ttft_requests)
    VALUES (
        NEW.timestamp - ((NEW.timestamp % 3600000) + 3600000) % 3600000,
        COALESCE(NEW.provider_name, ''),
        COALESCE(substr(NEW.model_requested, 1, 255), ''),
        NEW.credential_name,
        NEW.client,
        NEW.status_code,
        NEW.outcome,
        NEW.is_streaming,
        NEW.estimated,
        1,
        COALESCE(NEW.input_tokens, 0),
        COALESCE(NEW.output_tokens, 0),
        COALESCE(NEW.total_tokens, 0),
        COALESCE(NEW.cached_tokens, 0),
        COALESCE(NEW.cost_microusd, 0),
        CASE WHEN NEW.cost_microusd IS NULL THEN 0 ELSE 1 END,
        NEW.total_duration_ms,
        COALESCE(NEW.ttft_ms, 0),
        CASE WHEN NEW.ttft_ms IS NULL THEN 0 ELSE 1 END
    )
    ON CONFLICT DO UPDATE SET
        requests = requests + excluded.requests,
        input_tokens = input_tokens + excluded.input_tokens,
        output_tokens = output_tokens + excluded.output_tokens,
        total_tokens = total_tokens + excluded.total_tokens,
        cached_tokens = cached_tokens + excluded.cached_tokens,
        cost_microusd = cost_microusd + excluded.cost_microusd,
        priced = priced + excluded.priced,
        duration_ms = duration_ms + excluded.duration_ms,
        ttft_ms = ttft_ms + excluded.ttft_ms,
        ttft_requests = ttft_requests + excluded.ttft_requests;
    INSERT INTO log_days (start, provider_name, model_requested, credential_name, client, status_code, outcome, is_streaming, estimated, requests, input_tokens, output_tokens, total_tokens, cached_tokens, cost_microusd, priced, duration_ms, ttft_ms, ttft_requests)
    VALUES (
        NEW.timestamp - ((NEW.timestamp % 86400000) + 86400000) % 86400000,
        COALESCE(NEW.provider_name, ''),
        COALESCE(substr(NEW.model_requested, 1, 255), ''),
        NEW.credential_name,
        NEW.client,
        NEW.status_code,
        NEW.outcome,
        NEW.is_streaming,
        NEW.estimated,
        1,
        COALESCE(NEW.input_tokens, 0),
        COALESCE(NEW.output_tokens, 0),
        COALESCE(NEW.total_tokens, 0),
        COALESCE(NEW.cached_tokens, 0),
        COALESCE(NEW.cost_microusd, 0),
        CASE WHEN NEW.cost_microusd IS NULL THEN 0 ELSE 1 END,
        NEW.total_duration_ms,
        COALESCE(NEW.ttft_ms, 0),
        CASE WHEN NEW.ttft_ms IS NULL THEN 0 ELSE 1 END
    )
    ON CONFLICT DO UPDATE SET
        requests = requests + excluded.requests,
        input_tokens = input_tokens + excluded.input_tokens,
        output_tokens = output_tokens + excluded.output_tokens,
        total_tokens = total_tokens + excluded.total_tokens,
        cached_tokens = cached_tokens + excluded.cached_tokens,
        cost_microusd = cost_microusd + excluded.cost_microusd,
        priced = priced + excluded.priced,
        duration_ms = duration_ms + excluded.duration_ms,
        ttft_ms = ttft_ms + excluded.ttft_ms,
        ttft_requests = ttft_requests + excluded.ttft_requests;
    INSERT INTO log_histograms (dimension, start, name, metric, bin, requests)
    SELECT dimension, start, name, metric, bin, 1 FROM (
        SELECT 0 AS dimension, NEW.timestamp - ((NEW.timestamp % 3600000) + 3600000) % 3600000 AS start, '' AS name
        UNION ALL SELECT 1, NEW.timestamp - ((NEW.timestamp % 86400000) + 86400000) % 86400000, COALESCE(NEW.provider_name, '')
        UNION ALL SELECT 2, NEW.timestamp - ((NEW.timestamp % 86400000) + 86400000) % 86400000, COALESCE(substr(NEW.model_requested, 1, 255), '')
        UNION ALL SELECT 3, NEW.timestamp - ((NEW.timestamp % 86400000) + 86400000) % 86400000, NEW.credential_name
    ) CROSS JOIN (
        SELECT metric, CASE WHEN value < 0 THEN 0 WHEN value < 32 THEN value
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
            WHEN value < 33554432 THEN 336 + (value - 16777216) / 1048576 ELSE 352 END AS bin
        FROM (SELECT 0 AS metric, NEW.total_duration_ms AS value UNION ALL SELECT 1, NEW.ttft_ms)
        WHERE value IS NOT NULL
    ) WHERE true
    ON CONFLICT DO UPDATE SET requests = requests + 1;
END;

-- Rows from before.
INSERT INTO log_hours (start, provider_name, model_requested, credential_name, client, status_code, outcome, is_streaming, estimated, requests, input_tokens, output_tokens, total_tokens, cached_tokens, cost_microusd, priced, duration_ms, ttft_ms, ttft_requests)
SELECT timestamp - ((timestamp % 3600000) + 3600000) % 3600000, COALESCE(provider_name, ''), COALESCE(substr(model_requested, 1, 255), ''), credential_name, client, status_code, outcome, is_streaming, estimated,
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
FROM request_logs GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9;

INSERT INTO log_days (start, provider_name, model_requested, credential_name, client, status_code, outcome, is_streaming, estimated, requests, input_tokens, output_tokens, total_tokens, cached_tokens, cost_microusd, priced, duration_ms, ttft_ms, ttft_requests)
SELECT timestamp - ((timestamp % 86400000) + 86400000) % 86400000, COALESCE(provider_name, ''), COALESCE(substr(model_requested, 1, 255), ''), credential_name, client, status_code, outcome, is_streaming, estimated,
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
FROM request_logs GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9;

INSERT INTO log_histograms (dimension, start, name, metric, bin, requests)
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
FROM (
    SELECT 0 AS dimension, timestamp - ((timestamp % 3600000) + 3600000) % 3600000 AS start, '' AS name, 0 AS metric, total_duration_ms AS value FROM request_logs
    UNION ALL SELECT 0 AS dimension, timestamp - ((timestamp % 3600000) + 3600000) % 3600000 AS start, '' AS name, 1 AS metric, ttft_ms AS value FROM request_logs
    UNION ALL SELECT 1 AS dimension, timestamp - ((timestamp % 86400000) + 86400000) % 86400000 AS start, COALESCE(provider_name, '') AS name, 0 AS metric, total_duration_ms AS value FROM request_logs
    UNION ALL SELECT 1 AS dimension, timestamp - ((timestamp % 86400000) + 86400000) % 86400000 AS start, COALESCE(provider_name, '') AS name, 1 AS metric, ttft_ms AS value FROM request_logs
    UNION ALL SELECT 2 AS dimension, timestamp - ((timestamp % 86400000) + 86400000) % 86400000 AS start, COALESCE(substr(model_requested, 1, 255), '') AS name, 0 AS metric, total_duration_ms AS value FROM request_logs
    UNION ALL SELECT 2 AS dimension, timestamp - ((timestamp % 86400000) + 86400000) % 86400000 AS start, COALESCE(substr(model_requested, 1, 255), '') AS name, 1 AS metric, ttft_ms AS value FROM request_logs
    UNION ALL SELECT 3 AS dimension, timestamp - ((timestamp % 86400000) + 86400000) % 86400000 AS start, credential_name AS name, 0 AS metric, total_duration_ms AS value FROM request_logs
    UNION ALL SELECT 3 AS dimension, timestamp - ((timestamp % 86400000) + 86400000) % 86400000 AS start, credential_name AS name, 1 AS metric, ttft_ms AS value FROM request_logs
) WHERE value IS NOT NULL GROUP BY 1, 2, 3, 4, 5;

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
