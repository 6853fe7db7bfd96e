from setuptools import setup

setup(name='gym_gridworld',
      version='0.0.1',
      install_requires=['gym', 'numpy'])
