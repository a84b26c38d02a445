from django.db import migrations

# Whether a host was up was kept as true and false, of which no mean can be made: nothing was thinned any more.
NUMBERS = """
UPDATE monitoring_snapshot SET figures = (
    SELECT jsonb_object_agg(key, CASE value WHEN 'true' THEN '1' WHEN 'false' THEN '0' ELSE value END)
      FROM jsonb_each(figures)
) WHERE jsonb_path_exists(figures, '$.*.type() ? (@ == "boolean")')
"""


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0009_lists")]
    operations = [migrations.RunSQL(NUMBERS, migrations.RunSQL.noop)]
