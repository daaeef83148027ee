#!/usr/bin/env node
import '../dist/pinbar.js';
