-- Whether the device was known to stay up when its agent said that it was stopped. What older agents said counts as
-- not known. No row is rewritten.
ALTER TABLE devices ADD COLUMN goodbye_stays_up INTEGER NOT NULL DEFAULT 0;
