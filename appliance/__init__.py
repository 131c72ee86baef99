"""What runs in the call path of a site box. Imports neither the agent nor the centre."""
