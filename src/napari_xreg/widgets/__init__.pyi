from .tour.demo import open_demo as open_demo
