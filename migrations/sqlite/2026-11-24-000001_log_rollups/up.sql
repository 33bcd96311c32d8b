-- Sums over request_logs, so that counts need not read every row. Rows are counted many at once, up to the id in
-- log_progress, those written with plain SQL too; triggers see to those that change or go afterwards. Where a row has no provider or model, the name is ''; of a long
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
    cost_microusd INTEGER NOT NULL,
    priced INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    ttft_ms INTEGER NOT NULL,
    ttft_requests INTEGER NOT NULL,
    PRIMARY KEY (start, provider_name, model_requested, credential_name, client, status_code, outcome, is_streaming, estimated)
) STRICT, WITHOUT ROWID;

-- The same over everything, by one name each. The unit is the seconds that a sum is about: 300, 3600 or 86400. Dimension 0
-- is all requests (name ''), 1 the provider, 2 the model, 3 the credential, 4 the status; 300 seconds have 0 only.
CREATE TABLE log_sums (
    unit INTEGER NOT NULL,
    dimension INTEGER NOT NULL,
    start INTEGER NOT NULL,
    name TEXT NOT NULL,
    requests INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    cancelled INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    total_tokens INTEGER NOT NULL,
    cost_microusd INTEGER NOT NULL,
    priced INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    ttft_ms INTEGER NOT NULL,
    ttft_requests INTEGER NOT NULL,
    PRIMARY KEY (unit, dimension, start, name)
) STRICT, WITHOUT ROWID;

-- How many of them took how long. Metric 0 is total_duration_ms, 1 ttft_ms. Bins are milliseconds up to 15; from there on
-- every power of two has 8.
CREATE TABLE log_histograms (
    unit INTEGER NOT NULL,
    dimension INTEGER NOT NULL,
    start INTEGER NOT NULL,
    name TEXT NOT NULL,
    metric INTEGER NOT NULL,
    bin INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    PRIMARY KEY (unit, dimension, start, name, metric, bin)
) STRICT, WITHOUT ROWID;

-- Rows up to the id `counted` are in the sums, rows above it are not. `seen` is a place for the counting itself.
CREATE TABLE log_progress (
    counted INTEGER NOT NULL,
    seen INTEGER NOT NULL
) STRICT;
INSERT INTO log_progress (counted, seen) VALUES (0, 0);

-- Rows that came (sign 1) and rows that went (-1): whatever is inserted here is added to all of the above.
CREATE VIEW log_changes (sign, timestamp, provider_name, model_requested, credential_name, client, status_code, outcome, is_streaming, estimated, input_tokens, output_tokens, total_tokens, cost_microusd, total_duration_ms, ttft_ms) AS
SELECT 1, timestamp, COALESCE(provider_name, ''), COALESCE(substr(model_requested, 1, 255), ''), credential_name, client, status_code, outcome, is_streaming, estimated, input_tokens, output_tokens, total_tokens, cost_microusd, total_duration_ms, ttft_ms
FROM request_logs;

CREATE TRIGGER log_changes_counted INSTEAD OF INSERT ON log_changes
BEGIN
    INSERT INTO log_hours (start, provider_name, model_requested, credential_name, client, status_code, outcome, is_streaming, estimated, requests, input_tokens, output_tokens, total_tokens, cost_microusd, priced, duration_ms, ttft_ms, ttft_requests)
    VALUES (
        NEW.timestamp - ((NEW.timestamp % 3600000) + 3600000) % 3600000,
        NEW.provider_name, NEW.model_requested, NEW.credential_name, NEW.client, NEW.status_code, NEW.outcome, NEW.is_streaming, NEW.estimated,
        NEW.sign,
        NEW.sign * COALESCE(NEW.input_tokens, 0),
        NEW.sign * COALESCE(NEW.output_tokens, 0),
        NEW.sign * COALESCE(NEW.total_tokens, 0),
        NEW.sign * COALESCE(NEW.cost_microusd, 0),
        NEW.sign * CASE WHEN NEW.cost_microusd IS NULL THEN 0 ELSE 1 END,
        NEW.sign * NEW.total_duration_ms,
        NEW.sign * COALESCE(NEW.ttft_ms, 0),
        NEW.sign * CASE WHEN NEW.ttft_ms IS NULL THEN 0 ELSE 1 END
    )
    ON CONFLICT DO UPDATE SET
        requests = requests + excluded.requests,
        input_tokens = input_tokens + excluded.input_tokens,
        output_tokens = output_tokens + excluded.output_tokens,
        total_tokens = total_tokens + excluded.total_tokens,
        cost_microusd = cost_microusd + excluded.cost_microusd,
        priced = priced + excluded.priced,
        duration_ms = duration_ms + excluded.duration_ms,
        ttft_ms = ttft_ms + excluded.ttft_ms,
        ttft_requests = ttft_requests + excluded.ttft_requests;
    DELETE FROM log_hours WHERE NEW.sign < 0 AND requests = 0 AND start = NEW.timestamp - ((NEW.timestamp % 3600000) + 3600000) % 3600000
        AND provider_name = NEW.provider_name
        AND model_requested = NEW.model_requested
        AND credential_name = NEW.credential_name
        AND client = NEW.client
        AND status_code = NEW.status_code
        AND outcome = NEW.outcome
        AND is_streaming = NEW.is_streaming
        AND estimated = NEW.estimated;
    INSERT INTO log_days (start, provider_name, model_requested, credential_name, client, status_code, outcome, is_streaming, estimated, requests, input_tokens, output_tokens, total_tokens, cost_microusd, priced, duration_ms, ttft_ms, ttft_requests)
    VALUES (
        NEW.timestamp - ((NEW.timestamp % 86400000) + 86400000) % 86400000,
        NEW.provider_name, NEW.model_requested, NEW.credential_name, NEW.client, NEW.status_code, NEW.outcome, NEW.is_streaming, NEW.estimated,
        NEW.sign,
        NEW.sign * COALESCE(NEW.input_tokens, 0),
        NEW.sign * COALESCE(NEW.output_tokens, 0),
        NEW.sign * COALESCE(NEW.total_tokens, 0),
        NEW.sign * COALESCE(NEW.cost_microusd, 0),
        NEW.sign * CASE WHEN NEW.cost_microusd IS NULL THEN 0 ELSE 1 END,
        NEW.sign * NEW.total_duration_ms,
        NEW.sign * COALESCE(NEW.ttft_ms, 0),
        NEW.sign * CASE WHEN NEW.ttft_ms IS NULL THEN 0 ELSE 1 END
    )
    ON CONFLICT DO UPDATE SET
        requests = requests + excluded.requests,
        input_tokens = input_tokens + excluded.input_tokens,
        output_tokens = output_tokens + excluded.output_tokens,
        total_tokens = total_tokens + excluded.total_tokens,
        cost_microusd = cost_microusd + excluded.cost_microusd,
        priced = priced + excluded.priced,
        duration_ms = duration_ms + excluded.duration_ms,
        ttft_ms = ttft_ms + excluded.ttft_ms,
        ttft_requests = ttft_requests + excluded.ttft_requests;
    DELETE FROM log_days WHERE NEW.sign < 0 AND requests = 0 AND start = NEW.timestamp - ((NEW.timestamp % 86400000) + 86400000) % 86400000
        AND provider_name = NEW.provider_name
        AND model_requested = NEW.model_requested
        AND credential_name = NEW.credential_name
        AND client = NEW.client
        AND status_code = NEW.status_code
        AND outcome = NEW.outcome
        AND is_streaming = NEW.is_streaming
        AND estimated = NEW.estimated;
    INSERT INTO log_sums (unit, dimension, start, name, requests, failed, cancelled, input_tokens, output_tokens, total_tokens, cost_microusd, priced, duration_ms, ttft_ms, ttft_requests)
    SELECT unit, dimension, start, name,
        NEW.sign,
        NEW.sign * CASE WHEN NEW.outcome = 'failed' THEN 1 ELSE 0 END,
        NEW.sign * CASE WHEN NEW.outcome = 'cancelled' THEN 1 ELSE 0 END,
        NEW.sign * COALESCE(NEW.input_tokens, 0),
        NEW.sign * COALESCE(NEW.output_tokens, 0),
        NEW.sign * COALESCE(NEW.total_tokens, 0),
        NEW.sign * COALESCE(NEW.cost_microusd, 0),
        NEW.sign * CASE WHEN NEW.cost_microusd IS NULL THEN 0 ELSE 1 END,
        NEW.sign * NEW.total_duration_ms,
        NEW.sign * COALESCE(NEW.ttft_ms, 0),
        NEW.sign * CASE WHEN NEW.ttft_ms IS NULL THEN 0 ELSE 1 END
    FROM (
        SELECT 300 AS unit, 0 AS dimension, NEW.timestamp - ((NEW.timestamp % 300000) + 300000) % 300000 AS start, '' AS name
        UNION ALL SELECT 3600, 0, NEW.timestamp - ((NEW.timestamp % 3600000) + 3600000) % 3600000, ''
        UNION ALL SELECT 3600, 1, NEW.timestamp - ((NEW.timestamp % 3600000) + 3600000) % 3600000, NEW.provider_name
        UNION ALL SELECT 3600, 2, NEW.timestamp - ((NEW.timestamp % 3600000) + 3600000) % 3600000, NEW.model_requested
        UNION ALL SELECT 3600, 3, NEW.timestamp - ((NEW.timestamp % 3600000) + 3600000) % 3600000, NEW.credential_name
        UNION ALL SELECT 3600, 4, NEW.timestamp - ((NEW.timestamp % 3600000) + 3600000) % 3600000, CAST(NEW.status_code AS TEXT)
        UNION ALL SELECT 86400, 0, NEW.timestamp - ((NEW.timestamp % 86400000) + 86400000) % 86400000, ''
        UNION ALL SELECT 86400, 1, NEW.timestamp - ((NEW.timestamp % 86400000) + 86400000) % 86400000, NEW.provider_name
        UNION ALL SELECT 86400, 2, NEW.timestamp - ((NEW.timestamp % 86400000) + 86400000) % 86400000, NEW.model_requested
        UNION ALL SELECT 86400, 3, NEW.timestamp - ((NEW.timestamp % 86400000) + 86400000) % 86400000, NEW.credential_name
        UNION ALL SELECT 86400, 4, NEW.timestamp - ((NEW.timestamp % 86400000) + 86400000) % 86400000, CAST(NEW.status_code AS TEXT)
    ) WHERE true
    ON CONFLICT DO UPDATE SET
        requests = requests + excluded.requests,
        failed = failed + excluded.failed,
        cancelled = cancelled + excluded.cancelled,
        input_tokens = input_tokens + excluded.input_tokens,
        output_tokens = output_tokens + excluded.output_tokens,
        total_tokens = total_tokens + excluded.total_tokens,
        cost_microusd = cost_microusd + excluded.cost_microusd,
        priced = priced + excluded.priced,
        duration_ms = duration_ms + excluded.duration_ms,
        ttft_ms = ttft_ms + excluded.ttft_ms,
        ttft_requests = ttft_requests + excluded.ttft_requests;
    -- Whatever became empty goes; each part of the key is named, so that it is found by index.
    DELETE FROM log_sums WHERE NEW.sign < 0 AND requests = 0 AND unit = 300 AND dimension IN (0) AND start = NEW.timestamp - ((NEW.timestamp % 300000) + 300000) % 300000
        AND name IN ('');
    DELETE FROM log_sums WHERE NEW.sign < 0 AND requests = 0 AND unit = 3600 AND dimension IN (0, 1, 2, 3, 4) AND start = NEW.timestamp - ((NEW.timestamp % 3600000) + 3600000) % 3600000
        AND name IN ('', NEW.provider_name, NEW.model_requested, NEW.credential_name, CAST(NEW.status_code AS TEXT));
    DELETE FROM log_sums WHERE NEW.sign < 0 AND requests = 0 AND unit = 86400 AND dimension IN (0, 1, 2, 3, 4) AND start = NEW.timestamp - ((NEW.timestamp % 86400000) + 86400000) % 86400000
        AND name IN ('', NEW.provider_name, NEW.model_requested, NEW.credential_name, CAST(NEW.status_code AS TEXT));
    INSERT INTO log_histograms (unit, dimension, start, name, metric, bin, requests)
    SELECT unit, dimension, start, name, metric, bin, NEW.sign FROM (
        SELECT 300 AS unit, 0 AS dimension, NEW.timestamp - ((NEW.timestamp % 300000) + 300000) % 300000 AS start, '' AS name
        UNION ALL SELECT 3600, 0, NEW.timestamp - ((NEW.timestamp % 3600000) + 3600000) % 3600000, ''
        UNION ALL SELECT 3600, 1, NEW.timestamp - ((NEW.timestamp % 3600000) + 3600000) % 3600000, NEW.provider_name
        UNION ALL SELECT 3600, 2, NEW.timestamp - ((NEW.timestamp % 3600000) + 3600000) % 3600000, NEW.model_requested
        UNION ALL SELECT 3600, 3, NEW.timestamp - ((NEW.timestamp % 3600000) + 3600000) % 3600000, NEW.credential_name
        UNION ALL SELECT 86400, 0, NEW.timestamp - ((NEW.timestamp % 86400000) + 86400000) % 86400000, ''
        UNION ALL SELECT 86400, 1, NEW.timestamp - ((NEW.timestamp % 86400000) + 86400000) % 86400000, NEW.provider_name
        UNION ALL SELECT 86400, 2, NEW.timestamp - ((NEW.timestamp % 86400000) + 86400000) % 86400000, NEW.model_requested
        UNION ALL SELECT 86400, 3, NEW.timestamp - ((NEW.timestamp % 86400000) + 86400000) % 86400000, NEW.credential_name
    ) CROSS JOIN (
        SELECT metric, CASE WHEN value < 0 THEN 0 WHEN value < 16 THEN value
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
        FROM (SELECT 0 AS metric, NEW.total_duration_ms AS value UNION ALL SELECT 1, NEW.ttft_ms)
        WHERE value IS NOT NULL
    ) WHERE true
    ON CONFLICT DO UPDATE SET requests = requests + excluded.requests;
    DELETE FROM log_histograms WHERE NEW.sign < 0 AND requests = 0 AND unit = 300 AND dimension IN (0) AND start = NEW.timestamp - ((NEW.timestamp % 300000) + 300000) % 300000
        AND name IN ('')
        AND metric IN (0, 1) AND bin IN (
        SELECT CASE WHEN value < 0 THEN 0 WHEN value < 16 THEN value
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
            WHEN value < 33554432 THEN 176 + (value - 16777216) / 2097152 ELSE 184 END
        FROM (SELECT NEW.total_duration_ms AS value UNION ALL SELECT NEW.ttft_ms)
        WHERE value IS NOT NULL
    );
    DELETE FROM log_histograms WHERE NEW.sign < 0 AND requests = 0 AND unit = 3600 AND dimension IN (0, 1, 2, 3) AND start = NEW.timestamp - ((NEW.timestamp % 3600000) + 3600000) % 3600000
        AND name IN ('', NEW.provider_name, NEW.model_requested, NEW.credential_name)
        AND metric IN (0, 1) AND bin IN (
        SELECT CASE WHEN value < 0 THEN 0 WHEN value < 16 THEN value
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
            WHEN value < 33554432 THEN 176 + (value - 16777216) / 2097152 ELSE 184 END
        FROM (SELECT NEW.total_duration_ms AS value UNION ALL SELECT NEW.ttft_ms)
        WHERE value IS NOT NULL
    );
    DELETE FROM log_histograms WHERE NEW.sign < 0 AND requests = 0 AND unit = 86400 AND dimension IN (0, 1, 2, 3) AND start = NEW.timestamp - ((NEW.timestamp % 86400000) + 86400000) % 86400000
        AND name IN ('', NEW.provider_name, NEW.model_requested, NEW.credential_name)
        AND metric IN (0, 1) AND bin IN (
        SELECT CASE WHEN value < 0 THEN 0 WHEN value < 16 THEN value
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
            WHEN value < 33554432 THEN 176 + (value - 16777216) / 2097152 ELSE 184 END
        FROM (SELECT NEW.total_duration_ms AS value UNION ALL SELECT NEW.ttft_ms)
        WHERE value IS NOT NULL
    );
END;

-- An id among those that are counted already, as after the last row was deleted.
CREATE TRIGGER request_logs_after_insert AFTER INSERT ON request_logs WHEN NEW.id <= (SELECT counted FROM log_progress)
BEGIN
    INSERT INTO log_changes SELECT 1, NEW.timestamp, COALESCE(NEW.provider_name, ''), COALESCE(substr(NEW.model_requested, 1, 255), ''), NEW.credential_name, NEW.client, NEW.status_code, NEW.outcome, NEW.is_streaming, NEW.estimated, NEW.input_tokens, NEW.output_tokens, NEW.total_tokens, NEW.cost_microusd, NEW.total_duration_ms, NEW.ttft_ms;
END;

CREATE TRIGGER request_logs_after_delete AFTER DELETE ON request_logs WHEN OLD.id <= (SELECT counted FROM log_progress)
BEGIN
    INSERT INTO log_changes SELECT -1, OLD.timestamp, COALESCE(OLD.provider_name, ''), COALESCE(substr(OLD.model_requested, 1, 255), ''), OLD.credential_name, OLD.client, OLD.status_code, OLD.outcome, OLD.is_streaming, OLD.estimated, OLD.input_tokens, OLD.output_tokens, OLD.total_tokens, OLD.cost_microusd, OLD.total_duration_ms, OLD.ttft_ms;
END;

CREATE TRIGGER request_logs_after_update AFTER UPDATE ON request_logs
BEGIN
    INSERT INTO log_changes SELECT -1, OLD.timestamp, COALESCE(OLD.provider_name, ''), COALESCE(substr(OLD.model_requested, 1, 255), ''), OLD.credential_name, OLD.client, OLD.status_code, OLD.outcome, OLD.is_streaming, OLD.estimated, OLD.input_tokens, OLD.output_tokens, OLD.total_tokens, OLD.cost_microusd, OLD.total_duration_ms, OLD.ttft_ms WHERE OLD.id <= (SELECT counted FROM log_progress);
    INSERT INTO log_changes SELECT 1, NEW.timestamp, COALESCE(NEW.provider_name, ''), COALESCE(substr(NEW.model_requested, 1, 255), ''), NEW.credential_name, NEW.client, NEW.status_code, NEW.outcome, NEW.is_streaming, NEW.estimated, NEW.input_tokens, NEW.output_tokens, NEW.total_tokens, NEW.cost_microusd, NEW.total_duration_ms, NEW.ttft_ms WHERE NEW.id <= (SELECT counted FROM log_progress);
END;

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
