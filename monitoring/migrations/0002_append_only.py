from django.db import migrations

FORBID = """
CREATE FUNCTION monitoring_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is append-only';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON monitoring_auditevent
FOR EACH ROW EXECUTE FUNCTION monitoring_append_only();
"""

ALLOW = """
DROP TRIGGER append_only ON monitoring_auditevent;
DROP FUNCTION monitoring_append_only();
"""


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0001_initial")]

    operations = [migrations.RunSQL(FORBID, ALLOW)]
