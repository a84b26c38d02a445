from django.urls import path

from chat import views

urlpatterns = [
    path("", views.home, name="home"),
    path("chat/", views.chat, name="chat"),
    path("chat/new/", views.new_chat, name="new-chat"),
    path("chat/new/<slug:slug>/", views.new_chat, name="new-chat-with"),
    path("chat/sidebar/", views.sidebar, name="sidebar"),
    path("chat/messages/<uuid:pk>/", views.message, name="message"),
    path("chat/<uuid:pk>/", views.conversation, name="conversation"),
    path("chat/<uuid:pk>/thread/", views.thread, name="thread"),
    path("agents.css", views.agents_css, name="agents-css"),
]
