import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0003_sessions'),
        ('auth', '0012_alter_user_first_name_max_length'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Use',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField()),
                ('tokens', models.PositiveBigIntegerField(default=0)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='use', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-day'],
                'constraints': [models.UniqueConstraint(fields=('day', 'user'), name='use_of_a_day')],
            },
        ),
        migrations.AlterField(
            model_name='limit',
            name='value',
            field=models.PositiveBigIntegerField(blank=True, error_messages={'invalid': 'A limit is a whole number; leave it empty for no limit.'}, help_text='Empty: no limit. 0: not at all.', null=True, validators=[django.core.validators.MinValueValidator(0, 'A limit is 0 or more; leave it empty for no limit.')]),
        ),
        migrations.AlterConstraint(
            model_name='limit',
            name='one_limit_of_a_kind',
            constraint=models.UniqueConstraint(fields=('kind', 'scope', 'user', 'group'), name='one_limit_of_a_kind', nulls_distinct=False, violation_error_message='There is such a limit already: change that one.'),
        ),
        migrations.AlterConstraint(
            model_name='limit',
            name='limit_names_whom_it_holds_for',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('group__isnull', True), ('scope', 'user'), ('user__isnull', False)), models.Q(('group__isnull', False), ('scope', 'group'), ('user__isnull', True)), models.Q(('group__isnull', True), ('scope__in', ['each', 'installation']), ('user__isnull', True)), _connector='OR'), name='limit_names_whom_it_holds_for', violation_error_message='Name a user for a limit of one user, a group for one of its members, and neither for the others.'),
        ),
    ]
