-- Whether an earlier delivery of an alert to a channel is pending is asked for each one that is due.
CREATE INDEX deliveries_waiting ON deliveries (alert_id, channel)
WHERE state = 'pending';
