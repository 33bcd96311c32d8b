-- Adds rows of request_logs that are not in the sums yet, 10,000 at most: first to the shortest units, then from these to
-- all. A trigger for each row, which would also do, takes ten times as long. Temporary tables belong to the connection.
-- Two may do this one after the other: where nothing is left, all stays as it is.
UPDATE log_progress SET seen = COALESCE((SELECT MAX(id) FROM (SELECT id FROM request_logs WHERE id > counted ORDER BY id LIMIT 10000)), counted);

CREATE TEMP TABLE IF NOT EXISTS new_groups (start INTEGER, provider_name, model_requested, credential_name, client, status_code, outcome, is_streaming, estimated, duration_bin, ttft_bin, requests, input_tokens, output_tokens, total_tokens, cost_microusd, priced, duration_ms, ttft_ms, ttft_requests);
CREATE TEMP TABLE IF NOT EXISTS new_sums (start INTEGER, provider_name, model_requested, credential_name, client, status_code, outcome, is_streaming, estimated, requests, input_tokens, output_tokens, total_tokens, cost_microusd, priced, duration_ms, ttft_ms, ttft_requests);
CREATE TEMP TABLE IF NOT EXISTS new_bins (start INTEGER, provider_name, model_requested, credential_name, metric, bin, requests);

-- The rows are read and sorted once only, which is most of the work; what follows has only their groups to do with.
INSERT INTO temp.new_groups
SELECT timestamp - ((timestamp % 300000) + 300000) % 300000, COALESCE(provider_name, ''), COALESCE(substr(model_requested, 1, 255), ''),
    credential_name, client, status_code, outcome, is_streaming, estimated, {bin of total_duration_ms}, {bin of ttft_ms},
    COUNT(*), SUM(COALESCE(input_tokens, 0)), SUM(COALESCE(output_tokens, 0)), SUM(COALESCE(total_tokens, 0)),
    SUM(COALESCE(cost_microusd, 0)), COUNT(cost_microusd), SUM(total_duration_ms), SUM(COALESCE(ttft_ms, 0)), COUNT(ttft_ms)
FROM request_logs WHERE id > (SELECT counted FROM log_progress) AND id <= (SELECT seen FROM log_progress)
GROUP BY 10, 11, 6, 8, 9, 1, 7, 2, 3, 4, 5;

INSERT INTO temp.new_sums
SELECT start, provider_name, model_requested, credential_name, client, status_code, outcome, is_streaming, estimated,
    SUM(requests), SUM(input_tokens), SUM(output_tokens), SUM(total_tokens), SUM(cost_microusd), SUM(priced), SUM(duration_ms), SUM(ttft_ms), SUM(ttft_requests)
FROM temp.new_groups GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9;

INSERT INTO temp.new_bins
SELECT start, provider_name, model_requested, credential_name, metric, bin, SUM(requests)
FROM (
    SELECT start, provider_name, model_requested, credential_name, 0 AS metric, duration_bin AS bin, requests FROM temp.new_groups
    UNION ALL
    SELECT start, provider_name, model_requested, credential_name, 1, ttft_bin, requests FROM temp.new_groups WHERE ttft_bin IS NOT NULL
) GROUP BY 1, 2, 3, 4, 5, 6;

INSERT INTO log_hours (start, provider_name, model_requested, credential_name, client, status_code, outcome, is_streaming, estimated, requests, input_tokens, output_tokens, total_tokens, cost_microusd, priced, duration_ms, ttft_ms, ttft_requests)
SELECT start - ((start % 3600000) + 3600000) % 3600000, provider_name, model_requested, credential_name, client, status_code, outcome, is_streaming, estimated,
    SUM(requests), SUM(input_tokens), SUM(output_tokens), SUM(total_tokens), SUM(cost_microusd), SUM(priced), SUM(duration_ms), SUM(ttft_ms), SUM(ttft_requests)
FROM temp.new_sums GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
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

INSERT INTO log_days (start, provider_name, model_requested, credential_name, client, status_code, outcome, is_streaming, estimated, requests, input_tokens, output_tokens, total_tokens, cost_microusd, priced, duration_ms, ttft_ms, ttft_requests)
SELECT start - ((start % 86400000) + 86400000) % 86400000, provider_name, model_requested, credential_name, client, status_code, outcome, is_streaming, estimated,
    SUM(requests), SUM(input_tokens), SUM(output_tokens), SUM(total_tokens), SUM(cost_microusd), SUM(priced), SUM(duration_ms), SUM(ttft_ms), SUM(ttft_requests)
FROM temp.new_sums GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
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

INSERT INTO log_sums (unit, dimension, start, name, requests, failed, cancelled, input_tokens, output_tokens, total_tokens, cost_microusd, priced, duration_ms, ttft_ms, ttft_requests)
SELECT unit, dimension, start - ((start % (unit * 1000)) + unit * 1000) % (unit * 1000),
    CASE dimension WHEN 0 THEN '' WHEN 1 THEN provider_name WHEN 2 THEN model_requested WHEN 3 THEN credential_name ELSE CAST(status_code AS TEXT) END,
    SUM(requests),
    SUM(CASE WHEN outcome = 'failed' THEN requests ELSE 0 END),
    SUM(CASE WHEN outcome = 'cancelled' THEN requests ELSE 0 END),
    SUM(input_tokens), SUM(output_tokens), SUM(total_tokens), SUM(cost_microusd), SUM(priced), SUM(duration_ms), SUM(ttft_ms), SUM(ttft_requests)
FROM temp.new_sums
CROSS JOIN (SELECT 300 AS unit UNION ALL SELECT 3600 UNION ALL SELECT 86400)
CROSS JOIN (SELECT 0 AS dimension UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4)
WHERE unit > 300 OR dimension = 0 GROUP BY 1, 2, 3, 4
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

INSERT INTO log_histograms (unit, dimension, start, name, metric, bin, requests)
SELECT unit, dimension, start - ((start % (unit * 1000)) + unit * 1000) % (unit * 1000),
    CASE dimension WHEN 0 THEN '' WHEN 1 THEN provider_name WHEN 2 THEN model_requested WHEN 3 THEN credential_name END,
    metric, bin, SUM(requests)
FROM temp.new_bins
CROSS JOIN (SELECT 300 AS unit UNION ALL SELECT 3600 UNION ALL SELECT 86400)
CROSS JOIN (SELECT 0 AS dimension UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3)
WHERE unit > 300 OR dimension = 0 GROUP BY 1, 2, 3, 4, 5, 6
ON CONFLICT DO UPDATE SET requests = requests + excluded.requests;

DELETE FROM temp.new_groups;
DELETE FROM temp.new_sums;
DELETE FROM temp.new_bins;

UPDATE log_progress SET counted = seen;
