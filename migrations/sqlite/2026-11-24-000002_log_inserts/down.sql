DROP TRIGGER request_logs_after_delete;

CREATE TRIGGER request_logs_after_delete AFTER DELETE ON request_logs WHEN OLD.id <= (SELECT counted FROM log_progress)
BEGIN
    INSERT INTO log_changes SELECT -1, OLD.timestamp, COALESCE(OLD.provider_name, ''), COALESCE(substr(OLD.model_requested, 1, 255), ''), OLD.credential_name, OLD.client, OLD.status_code, OLD.outcome, OLD.is_streaming, OLD.estimated, OLD.input_tokens, OLD.output_tokens, OLD.total_tokens, OLD.cost_microusd, OLD.total_duration_ms, OLD.ttft_ms;
END;

CREATE TRIGGER request_logs_after_insert AFTER INSERT ON request_logs WHEN NEW.id <= (SELECT counted FROM log_progress)
BEGIN
    INSERT INTO log_changes SELECT 1, NEW.timestamp, COALESCE(NEW.provider_name, ''), COALESCE(substr(NEW.model_requested, 1, 255), ''), NEW.credential_name, NEW.client, NEW.status_code, NEW.outcome, NEW.is_streaming, NEW.estimated, NEW.input_tokens, NEW.output_tokens, NEW.total_tokens, NEW.cost_microusd, NEW.total_duration_ms, NEW.ttft_ms;
END;
