"""What ms-swift imports by ``--external_plugins``: registers the reward functions.

It stands in a folder of its own, since ms-swift puts a plugin's folder before all others on the
path of imports.
"""

from swift.rewards import orms

from medreward_swift import reward_classes

orms.update(reward_classes())
