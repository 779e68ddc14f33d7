-- The key that a device had before its present one, and when that took its place. Without either the device has
-- the key that it was enrolled with. No row is rewritten.
ALTER TABLE devices ADD COLUMN replaced_key BLOB;
ALTER TABLE devices ADD COLUMN key_replaced_at INTEGER;
