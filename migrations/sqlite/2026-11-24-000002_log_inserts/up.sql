-- Rows are inserted far more often than deleted. SQLite keeps a journal for each statement that fires a trigger, and
-- copies every page into it that the statement changes; without a trigger an insert takes half the time. So it is the
-- deleting, also of rows that are not counted yet, that keeps `counted` at or below the last id, from which new ids are
-- counted on. A row that plain SQL inserts with an id of its own below that is not counted.
DROP TRIGGER request_logs_after_insert;
DROP TRIGGER request_logs_after_delete;

CREATE TRIGGER request_logs_after_delete AFTER DELETE ON request_logs
BEGIN
    INSERT INTO log_changes SELECT -1, OLD.timestamp, COALESCE(OLD.provider_name, ''), COALESCE(substr(OLD.model_requested, 1, 255), ''), OLD.credential_name, OLD.client, OLD.status_code, OLD.outcome, OLD.is_streaming, OLD.estimated, OLD.input_tokens, OLD.output_tokens, OLD.total_tokens, OLD.cost_microusd, OLD.total_duration_ms, OLD.ttft_ms WHERE OLD.id <= (SELECT counted FROM log_progress);
    UPDATE log_progress SET counted = MIN(counted, (SELECT COALESCE(MAX(id), 0) FROM request_logs));
END;

UPDATE log_progress SET counted = MIN(counted, (SELECT COALESCE(MAX(id), 0) FROM request_logs));
