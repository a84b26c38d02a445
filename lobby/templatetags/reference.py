from django import template

from lobby import correlation

register = template.Library()
register.simple_tag(correlation.request_id, name="request_id")
