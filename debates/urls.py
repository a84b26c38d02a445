from django.urls import path

from debates import views

urlpatterns = [
    path("debates/", views.debates, name="debates"),
    path("debates/new/", views.new_debate, name="new-debate"),
    path("debates/<uuid:pk>/", views.debate, name="debate"),
    path("debates/<uuid:pk>/figures/", views.figures, name="debate-figures"),
    path("debates/<uuid:pk>/lanes/", views.lanes, name="debate-lanes"),
    path("debates/<uuid:pk>/print/", views.printed, name="debate-print"),
    path("debates/<uuid:pk>/seats.css", views.seats_css, name="debate-seats-css"),
    path("shared/debates/<str:key>/", views.shared, name="shared-debate"),
    path("shared/debates/<str:key>/seats.css", views.shared_css, name="shared-debate-seats-css"),
]
